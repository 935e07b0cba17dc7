// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "kernels/device_scratch.hpp"
#include "kernels/flash/choices.hpp"
#include "kernels/flash/cuda_thread.hpp"
#include "kernels/flash/device.hpp"

namespace tessera::kernels::flash {

namespace {

template <class T>
float* deltas_of(ExecutionSpace const& exec, attention::Backward<T> const& call) {
  return device_scratch<float>(exec, call.shape.heads * call.shape.batch * call.shape.positions);
}

template <int D, bool drop, class T>
void launch_passes(ExecutionSpace const& exec, std::string const& label, attention::Backward<T> const& call,
                   float const* deltas) {
  launch<2>(exec, label, QueriesChoice<T, D, drop>{call, deltas});
  launch<2>(exec, label, KeysChoice<T, D, drop>{call, deltas});
}

template <int D, class T>
void launch_size(ExecutionSpace const& exec, std::string const& label, attention::Backward<T> const& call) {
  float* const deltas = deltas_of(exec, call);
  launch<8>(exec, label, DeltasChoice<T, D>{call, deltas});
  if (call.factors.active()) {
    launch_passes<D, true>(exec, label, call, deltas);
  } else {
    launch_passes<D, false>(exec, label, call, deltas);
  }
}

template <class T>
bool launch_narrow(ExecutionSpace const& exec, std::string const& label, attention::Backward<T> const& call) {
  return with_head_size(call.shape.head_size, [&](auto size) { launch_size<size()>(exec, label, call); });
}

template <int D>
void launch_float(ExecutionSpace const& exec, std::string const& label,
                  attention::Backward<float> const& call) {
  float* const deltas = deltas_of(exec, call);
  launch<8>(exec, label, FloatDeltasBody{call, deltas});
  launch<1>(exec, label, FloatQueriesBody<D>{{call, deltas}});
  launch<1>(exec, label, FloatKeysBody<D>{{call, deltas}});
}

}  // namespace

bool backward(ExecutionSpace const& exec, std::string const& label, attention::Backward<bf16> const& call) {
  return launch_narrow(exec, label, call);
}
bool backward(ExecutionSpace const& exec, std::string const& label, attention::Backward<f16> const& call) {
  return launch_narrow(exec, label, call);
}
bool backward(ExecutionSpace const& exec, std::string const& label, attention::Backward<float> const& call) {
  if (call.shape.head_size > 128) return false;
  if (call.shape.head_size > 64) {
    launch_float<128>(exec, label, call);
  } else {
    launch_float<64>(exec, label, call);
  }
  return true;
}

}  // namespace tessera::kernels::flash
