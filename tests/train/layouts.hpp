// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The layout matrix: one model trained on many layouts inside one mpirun of 8, each compared bit for bit with
// the run of one rank.
#pragma once

#include <string>
#include <vector>

#include "training.hpp"

namespace tessera::train::test {

/// What a run shows to the outside.
struct Outcome {
  std::vector<double> losses, gradient_norms, validation_losses;
  std::vector<std::uint64_t> weights_hash;  ///< (1)
  std::vector<std::int32_t> text;
};

/// An outcome, and the tensors behind it to find out where a difference begins.
template <class T>
struct Reference {
  Outcome outcome;
  Image<T> first_gradients;  ///< of step 1
  Image<T> weights;          ///< after the last step
};

/// A small model of 4 layers with 8 heads, 3 steps of 16 microbatches, T = 8, trained on `tokens`.
[[nodiscard]] RunConfig small_run(TokenFile const& tokens);

/// A layout and what else must not change a bit.
struct LayoutCase {
  mesh::MeshShape shape;
  bool sequence_parallel = false;
  std::string schedule = "1f1b";
  int ranks_per_node = 0;
  std::int64_t bucket_bytes = 25 * 1024 * 1024;
  bool overlap = true;
  std::string order = "tp,dp,pp";
  std::vector<std::int64_t> pipeline_layers = {};

  /// "tp 2 pp 1 dp 4 SP gpipe ..."
  [[nodiscard]] std::string name() const;
  [[nodiscard]] RunConfig applied_to(RunConfig config) const;
};

/// Every (tp, pp, dp) of 2, 4 and 8 ranks with tp <= `most_tp`, pp <= 4, with and without sequence
/// parallelism, with both schedules; the other choices go round so that each meets each axis.
[[nodiscard]] std::vector<LayoutCase> all_layouts(int most_tp);
/// A selection with tp <= `most_tp`: every axis, every choice once.
[[nodiscard]] std::vector<LayoutCase> quick_layouts(int most_tp);

/// Collective over support::world(), 8 ranks. Trains `config` on one rank and then on every layout, several
/// at a time on groups of the ranks. Expects the same bits in every loss, gradient norm, validation loss,
/// weights hash, sampled token, gradient of step 1 and weight of every rank; and the messages of the first
/// step to be those of step_traffic (forecast.hpp).
template <class T>
void expect_same_bits(RunConfig const& config, std::vector<LayoutCase> const& layouts);

/// Collective over the run. Compares the messages recorded since the ledger's last reset with step_traffic.
template <class T>
void expect_forecast_traffic(TrainingRun<T>& run);

#define TESSERA_DECLARE(T) \
  extern template void expect_same_bits<T>(RunConfig const&, std::vector<LayoutCase> const&);
TESSERA_FOR_COMPUTE_TYPES(TESSERA_DECLARE)
#undef TESSERA_DECLARE

}  // namespace tessera::train::test
