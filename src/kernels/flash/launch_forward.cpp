// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "kernels/flash/choices.hpp"
#include "kernels/flash/cuda_thread.hpp"
#include "kernels/flash/device.hpp"

namespace tessera::kernels::flash {

namespace {

template <int D, class T>
void launch_size(ExecutionSpace const& exec, std::string const& label, attention::Forward<T> const& call) {
  if (call.factors.active()) {
    launch<2>(exec, label, ForwardChoice<T, D, true>{call});
  } else {
    launch<2>(exec, label, ForwardChoice<T, D, false>{call});
  }
}

template <class T>
bool launch_narrow(ExecutionSpace const& exec, std::string const& label, attention::Forward<T> const& call) {
  return with_head_size(call.shape.head_size, [&](auto size) { launch_size<size()>(exec, label, call); });
}

}  // namespace

bool forward(ExecutionSpace const& exec, std::string const& label, attention::Forward<bf16> const& call) {
  return launch_narrow(exec, label, call);
}
bool forward(ExecutionSpace const& exec, std::string const& label, attention::Forward<f16> const& call) {
  return launch_narrow(exec, label, call);
}
bool forward(ExecutionSpace const& exec, std::string const& label, attention::Forward<float> const& call) {
  if (call.shape.head_size > 128) return false;
  if (call.shape.head_size > 64) {
    launch<2>(exec, label, FloatForwardBody<128>{call});
  } else {
    launch<2>(exec, label, FloatForwardBody<64>{call});
  }
  return true;
}

}  // namespace tessera::kernels::flash
