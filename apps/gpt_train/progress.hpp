// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "console.hpp"
#include "tessera/train/step_report.hpp"

namespace gpt_train {

/// Shows how training goes: on a terminal a bar with the time left, in a log a line every few steps.
class Progress {
 public:
  Progress(Console& console, std::int64_t steps, std::int64_t log_interval,
           tessera::train::Efficiency efficiency);

  void step(tessera::train::StepReport const& report);
  void validation(std::int64_t step, double loss);

  /// Tokens per second over the steps made, the first two left out if there are more: they still grow memory.
  [[nodiscard]] double tokens_per_s() const;
  /// Model FLOP/s as a share of the peak, over the same steps.
  [[nodiscard]] double mfu() const;

 private:
  [[nodiscard]] std::string line(tessera::train::StepReport const& report) const;
  [[nodiscard]] std::string bar(tessera::train::StepReport const& report) const;

  Console* console_;
  std::int64_t steps_;
  std::int64_t log_interval_;
  tessera::train::Efficiency efficiency_;
  std::int64_t made_ = 0;                      // steps of this part of the run
  double tokens_ = 0, seconds_ = 0;            // of all of them
  double warm_tokens_ = 0, warm_seconds_ = 0;  // without the first two
};

}  // namespace gpt_train
