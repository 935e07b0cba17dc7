// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "tessera/data/loader.hpp"
#include "tessera/model/stage.hpp"
#include "tessera/pipeline/executor.hpp"
#include "tessera/train/plan.hpp"

namespace tessera::train {

/// What of a step a StageRunner runs.
struct Pass {
  layers::Mode mode = layers::Mode::training;
  std::int64_t step = 0;              ///< 0-based; training: of the data and of random numbers
  std::int64_t first_microbatch = 0;  ///< of this replica, global number
  double loss_scale = 1;              ///< of the summed loss, in training
  bool tokens_are_read = false;       ///< by read_tokens
};

/// Token and loss memory of one stage: inputs on the first, targets and losses on the last.
template <class T>
struct TokenBuffers {
  /// For `count` microbatches of a replica in a step.
  TokenBuffers(Arena& arena, model::StageLayout const& layout, int count);

  Matrix<std::int32_t> tokens, targets;  ///< (slots, S*B)
  Matrix<Wide<T>> losses;                ///< (microbatches, S*B)
  int microbatches;
};

/// One stage's work on the microbatches of a step: reads its tokens, computes, keeps the losses. The executor
/// says in which order.
template <class T>
class StageRunner final : public pipeline::StageWork<T> {
 public:
  /// Borrows stage, loader and hooks. `context` holds what does not change from microbatch to microbatch.
  /// `reads_ahead`: read_tokens is used.
  StageRunner(model::Stage<T>& stage, layers::Context const& context, data::BatchLoader& loader,
              params::ParameterHooks& hooks, TokenBuffers<T> const& buffers, bool reads_ahead = false);

  /// What the next run of the executor works on.
  void begin(Pass const& pass) { pass_ = pass; }
  /// Reads the tokens of all microbatches of a pass to where the device copies them from.
  void read_tokens(Pass const& pass);

  void forward(int microbatch) override;
  void backward(int microbatch) override;
  Matrix<T> input(int microbatch) override { return stage_->input(slot(microbatch)); }
  Matrix<T> output(int microbatch) override { return stage_->output(slot(microbatch)); }
  Matrix<T> gradient(int microbatch) override { return stage_->gradient(slot(microbatch)); }

  /// Last stage, after a run: gives the device's queue the copy of all losses to the host.
  void fetch_losses() const;
  /// Once they have come: for each microbatch of this replica the sum of its tokens' losses, added one after
  /// another in float64, so that it depends on nothing but the microbatch.
  void summed_losses(std::span<double> sums) const;

 private:
  [[nodiscard]] int slot(int microbatch) const { return microbatch % stage_->layout().slots; }
  [[nodiscard]] layers::Context context_of(int microbatch) const;
  [[nodiscard]] Vector<Wide<T>> losses_of(int microbatch) const;
  [[nodiscard]] std::int32_t* host_place(int microbatch) const;
  void read(Pass const& pass, int microbatch);
  void load(int microbatch);

  model::Stage<T>* stage_;
  layers::Context context_;
  data::BatchLoader* loader_;
  params::ParameterHooks* hooks_;
  Pass pass_;
  TokenBuffers<T> buffers_;
  Kokkos::View<std::int32_t***, Kokkos::LayoutRight, StagingSpace>
      host_tokens_;  // (microbatches or 1, 2, S*B)
  Kokkos::View<Wide<T>**, Kokkos::LayoutRight, StagingSpace> host_losses_;
};

TESSERA_COMPUTE_TYPES(extern template struct, TokenBuffers)
TESSERA_COMPUTE_TYPES(extern template class, StageRunner)

}  // namespace tessera::train
