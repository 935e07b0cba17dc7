// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What `training.precision` stands for: float32, float64, bf16 or fp16.
#pragma once

#include <cstdint>

#include "tessera/base/compute_types.hpp"
#include "tessera/base/dtype.hpp"
#include "tessera/train/run_config.hpp"

namespace tessera::train {

/// Calls `run(T{})` with the compute type T and gives what it gives. What is none of the names counts as
/// float32: configurations are checked elsewhere.
template <class Run>
auto in_precision(RunConfig const& config, Run const& run) {
  if (config.training.precision == "float64") return run(double{});
  if (config.training.precision == "bf16") return run(bf16{});
  if (config.training.precision == "fp16") return run(f16{});
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

/// `optimizer.loss_scale`, and where that leaves it to the precision what it comes to: 0, which is auto, with
/// fp16, whose range gradients leave, else 1.
[[nodiscard]] inline std::int64_t loss_scale_of(RunConfig const& config) {
  if (config.optimizer.loss_scale != loss_scale_by_precision) return config.optimizer.loss_scale;
  return compute_type(config) == DType::f16 ? 0 : 1;
}

}  // namespace tessera::train
