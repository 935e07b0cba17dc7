// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Attention by tiles on the device there is. True: the call has been launched. False: nothing was done, as
// the device, the type or the head size has no such kernel; attention_device.hpp runs it then.
#pragma once

#include <string>

#include "kernels/attention_call.hpp"

namespace tessera::kernels::flash {

#ifdef KOKKOS_ENABLE_CUDA

bool forward(ExecutionSpace const& exec, std::string const& label, attention::Forward<bf16> const& call);
bool backward(ExecutionSpace const& exec, std::string const& label, attention::Backward<bf16> const& call);
bool forward(ExecutionSpace const& exec, std::string const& label, attention::Forward<f16> const& call);
bool backward(ExecutionSpace const& exec, std::string const& label, attention::Backward<f16> const& call);
bool forward(ExecutionSpace const& exec, std::string const& label, attention::Forward<float> const& call);
bool backward(ExecutionSpace const& exec, std::string const& label, attention::Backward<float> const& call);

#endif

template <class T>
bool forward(ExecutionSpace const&, std::string const&, attention::Forward<T> const&) {
  return false;
}
template <class T>
bool backward(ExecutionSpace const&, std::string const&, attention::Backward<T> const&) {
  return false;
}

}  // namespace tessera::kernels::flash
