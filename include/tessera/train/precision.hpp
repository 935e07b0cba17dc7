// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What `training.precision` stands for: float32, float64 or bf16.
#pragma once

#include <string_view>

#include "tessera/base/bf16.hpp"
#include "tessera/base/dtype.hpp"
#include "tessera/train/run_config.hpp"

namespace tessera::train {

/// Calls `run(T{})` with the compute type T and gives what it gives. What is none of the names counts as
/// float32: configurations are checked elsewhere.
template <class Run>
auto in_precision(RunConfig const& config, Run const& run) {
  if (config.training.precision == "float64") return run(double{});
  if (config.training.precision == "bf16") return run(bf16{});
  return run(float{});
}

/// Of activations and their gradients.
[[nodiscard]] inline DType compute_type(RunConfig const& config) {
  return in_precision(config, [](auto zero) { return dtype_of<decltype(zero)>; });
}
/// Of parameters, moments, gradients of parameters and sums; what checkpoints hold.
[[nodiscard]] inline DType wide_type(RunConfig const& config) {
  return in_precision(config, [](auto zero) { return dtype_of<Wide<decltype(zero)>>; });
}

}  // namespace tessera::train
