// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tessera/train/run_config.hpp"
#include "tessera/train/validation.hpp"

namespace gpt_train {

/// A figure over the ranks.
struct OverRanks {
  double mean = 0;
  double largest = 0;
};

/// What a run knows of itself beyond its configuration.
struct RunFacts {
  int nodes = 1;
  std::int64_t begins_at = 0;      ///< step after which it begins
  std::string_view matmul;         ///< library of matrix products
  double peak_flops = 0;           ///< measured or given, summed over the ranks
  OverRanks stored_parameters{};   ///< elements of the tensors that a rank keeps
  OverRanks predicted_bytes{};     ///< memory
  std::int64_t train_samples = 0;  ///< sequences
};

/// What a run ends with.
struct RunResult {
  int code = 0;
  std::optional<std::uint64_t> weights;  ///< hash; nothing where a run broke off
  double tokens_per_s = 0;               ///< figure of merit
  double used_bytes = 0;                 ///< of the rank that took most
};

[[nodiscard]] std::string host_name();

// Lines of the metrics file that are about the run, not about a step: JSON objects whose member "event" says
// which, without newline. A reader that only wants steps takes the objects that have "step".

[[nodiscard]] std::string begin_event(tessera::train::RunConfig const& config,
                                      tessera::train::Layout const& layout, RunFacts const& facts);
[[nodiscard]] std::string end_event(RunResult const& result);

}  // namespace gpt_train
