// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The training of tests/reference, done again by the library's parts without its Trainer: weights and tokens
// come from the recording's formulas, so nothing but the mathematics is shared with what is compared.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "recorded.hpp"
#include "tessera/base/compute_types.hpp"
#include "tessera/data_parallel/gradient_reducer.hpp"
#include "tessera/mesh/mesh.hpp"
#include "tessera/optim/adamw.hpp"
#include "tessera/optim/gradient_norm.hpp"
#include "tessera/pipeline/executor.hpp"
#include "tessera/train/plan.hpp"

namespace tessera::model::test {

/// How the work is cut, all ranks of the communicator together.
struct Cut {
  mesh::MeshShape shape;
  bool sequence_parallel = false;
  int tiles = 0;

  [[nodiscard]] std::string name() const;
};

/// What the loss is multiplied with while gradients are made of it: with f16 small ones would vanish.
template <class T>
inline constexpr double loss_scale = std::is_same_v<T, f16> ? 1024 : 1;

/// A stage's microbatches, fed with the recorded tokens.
template <class T>
class RecordedWork final : public pipeline::StageWork<T> {
 public:
  RecordedWork(Stage<T>& stage, layers::Context const& context, params::ParameterHooks& hooks,
               recorded::Config const& recording, std::int64_t first_microbatch);

  void forward(int microbatch) override;
  void backward(int microbatch) override;
  Matrix<T> input(int microbatch) override { return stage_->input(slot(microbatch)); }
  Matrix<T> output(int microbatch) override { return stage_->output(slot(microbatch)); }
  Matrix<T> gradient(int microbatch) override { return stage_->gradient(slot(microbatch)); }

  /// Sum of the losses of this replica's tokens, on the last stage after a run.
  [[nodiscard]] double loss_sum() const;
  [[nodiscard]] layers::Context context_of(int microbatch) const;

 private:
  [[nodiscard]] int slot(int microbatch) const { return microbatch % stage_->layout().slots; }

  Stage<T>* stage_;
  layers::Context context_;
  params::ParameterHooks* hooks_;
  double scale_;
  Arena arena_;
  Matrix<std::int32_t> tokens_, targets_;  // (microbatches, S*B)
  Matrix<Wide<T>> losses_;                 // (microbatches, S*B)
};

/// Ten steps of the recorded model on the ranks of a communicator.
template <class T>
class RecordedTraining {
 public:
  /// Collective over `world`.
  RecordedTraining(std::unique_ptr<comm::Communicator> world, recorded::Config const& recording,
                   Cut const& cut);

  struct Step {
    double loss = 0, gradient_norm = 0;
  };
  /// Loss and gradients of the global batch, without an update. Collective.
  Step accumulate();
  /// Applies what `accumulate` made.
  void update(double gradient_norm);
  /// All logits (S, B, V) of microbatch 0, on every rank of the last stage of the first replica; else empty.
  /// Collective.
  std::vector<double> logits();

  [[nodiscard]] params::ParameterStore<T>& store() { return stage_->store(); }
  [[nodiscard]] mesh::Mesh const& mesh() const { return *mesh_; }

 private:
  void set_weights();
  void run(pipeline::Schedule const& schedule);

  recorded::Config recording_;
  comm::Ledger ledger_;
  std::optional<mesh::Mesh> mesh_;
  std::unique_ptr<kernels::MatmulProvider> matmul_;
  train::Plan plan_;
  pipeline::Schedule schedule_;
  Arena arena_;
  ExecutionSpace exec_;
  std::vector<comm::Communicator*> background_;
  std::optional<Stage<T>> stage_;
  std::optional<data_parallel::GradientReducer<T>> reducer_;
  std::optional<optim::SquaredSums<T>> squares_;
  std::optional<RecordedWork<T>> work_;
  std::optional<pipeline::Executor<T>> executor_;
  std::optional<params::ReducedGradients<T>> gradients_;
  std::int64_t updates_ = 0;
};

TESSERA_COMPUTE_TYPES(extern template class, RecordedTraining)

}  // namespace tessera::model::test
