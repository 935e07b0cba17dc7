// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace tessera::train {

/// Axes under which communication is reported.
inline constexpr std::array<std::string_view, 5> reported_axes{"tp", "pp", "dp", "tied", "world"};

/// What one axis moved in a step, summed over all ranks, by the conventions of comm/recorded.hpp.
struct AxisTraffic {
  double calls = 0;
  double bytes = 0;
};

/// What a step did. The same on every rank.
struct StepReport {
  std::int64_t step = 0;  ///< number of the step, the first is 1
  double loss = 0;        ///< mean over the tokens of the global batch, before the update
  double grad_norm = 0;   ///< before clipping, without the loss scale
  double learning_rate = 0;
  std::int64_t tokens = 0;  ///< of the global batch
  double loss_scale = 1;    ///< what the loss was multiplied with for the gradients of this step
  bool skipped = false;     ///< loss or gradient was not finite and the weights were left as they were
  bool overflowed = false;  ///< skipped, but the loss was finite, and the next step has a smaller loss scale

  // Times, seconds: of the step the longest over the ranks, of its parts the mean.
  double step_s = 0;
  double exposed_comm_s = 0;  ///< the host stood waiting for communication, pipeline included
  double bubble_s = 0;        ///< the part of it that was spent waiting for another pipeline stage
  double comm_s = 0;          ///< communication under way, hidden or not, summed over operations
  std::array<AxisTraffic, reported_axes.size()> traffic{};

  int wish = 0;               ///< the largest that Surroundings::wish gave on any rank
  double save_blocked_s = 0;  ///< the caller's: rank 0 stood waiting for checkpoints since the report before

  [[nodiscard]] double tokens_per_s() const { return static_cast<double>(tokens) / step_s; }
  /// Communication under way against time spent computing.
  [[nodiscard]] double comm_compute_ratio() const { return comm_s / (step_s - exposed_comm_s); }
};

/// Model FLOP/s as a share of what the ranks' matrix products can do, both known to the caller.
struct Efficiency {
  double flops_per_token = 0;  ///< model::flops_per_token
  double peak_flops = 0;       ///< measured or given, summed over the ranks

  [[nodiscard]] double model_flops(StepReport const& report) const {
    return flops_per_token * report.tokens_per_s();
  }
  [[nodiscard]] double mfu(StepReport const& report) const { return model_flops(report) / peak_flops; }
};

/// One line of the metrics file, a JSON object without newline: step, loss, grad_norm (17 digits, so that
/// equal bits are equal text), lr, tokens, tokens_per_s, step_s, mfu, exposed_comm_s, comm_compute_ratio,
/// bubble_s, loss_scale, skipped, save_blocked_s, comm_bytes and comm_calls by axis, and validation_loss
/// where there is one. What is not finite is null.
[[nodiscard]] std::string metrics_line(StepReport const& report, Efficiency const& efficiency,
                                       double const* validation_loss);

}  // namespace tessera::train
