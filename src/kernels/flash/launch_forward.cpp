// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "kernels/flash/choices.hpp"
#include "kernels/flash/cuda_thread.hpp"
#include "kernels/flash/device.hpp"

namespace tessera::kernels::flash {

namespace {

using Call = attention::Forward<bf16>;

template <int D>
bool launch_size(ExecutionSpace const& exec, std::string const& label, Call const& call) {
  if (call.factors.active()) {
    launch<2>(exec, label, ForwardChoice<D, true>{call});
  } else {
    launch<2>(exec, label, ForwardChoice<D, false>{call});
  }
  return true;
}

}  // namespace

bool forward(ExecutionSpace const& exec, std::string const& label, Call const& call) {
  switch (call.shape.head_size) {
    case 64: return launch_size<64>(exec, label, call);
    case 80: return launch_size<80>(exec, label, call);
    case 96: return launch_size<96>(exec, label, call);
    case 128: return launch_size<128>(exec, label, call);
    default: return false;
  }
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
