// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "tessera/comm/device_work.hpp"
#include "tessera/comm/recorded.hpp"
#include "tessera/data/loader.hpp"
#include "tessera/data_parallel/gradient_reducer.hpp"
#include "tessera/mesh/mesh.hpp"
#include "tessera/optim/adamw.hpp"
#include "tessera/optim/gradient_norm.hpp"
#include "tessera/optim/learning_rate.hpp"
#include "tessera/optim/loss_scale.hpp"
#include "tessera/train/host_tensors.hpp"
#include "tessera/train/plan.hpp"
#include "tessera/train/run_config.hpp"
#include "tessera/train/sampler.hpp"
#include "tessera/train/stage_runner.hpp"
#include "tessera/train/step_graph.hpp"
#include "tessera/train/step_report.hpp"

namespace tessera::train {

/// What a trainer borrows; all of it outlives the trainer.
struct Surroundings {
  mesh::Mesh* mesh = nullptr;
  comm::Ledger* ledger = nullptr;           ///< where the mesh's communicators record
  comm::Communicator* telemetry = nullptr;  ///< all ranks, recorded nowhere: carries the times of a step
  kernels::MatmulProvider const* matmul = nullptr;
  data::Dataset const* dataset = nullptr;
  /// Asked once in every step, as late as can be: a number that one rank wants all ranks to know at the end
  /// of the step (StepReport::wish). It travels with the times of the step. Empty: 0.
  std::function<int()> wish{};
  /// In which forward and backward passes are recorded and repeated; empty: they are not. One rank alone,
  /// whose operations between ranks give the device nothing that waits.
  std::function<std::unique_ptr<StreamGraph>()> graph{};
  /// Of devices that wait for other ranks.
  comm::DeviceWatchers devices{};
};

/// Where training stands, beside the tensors.
struct TrainingState {
  std::int64_t step = 0;      ///< steps made, skipped ones included
  std::int64_t updates = 0;   ///< steps that changed the weights
  std::int64_t position = 0;  ///< samples consumed
  optim::LossScaleState loss_scale{};

  bool operator==(TrainingState const&) const = default;
};

/// Trains one model on all ranks of a mesh. Every public function but the accessors is collective over the
/// mesh, and what it returns is the same on every rank, so all ranks take the same branch on it. All throw
/// CommError and DataError.
template <class T>
class Trainer {
 public:
  /// Takes all memory of training and makes the initial weights. `plan` is this rank's.
  Trainer(RunConfig const& config, Plan plan, Surroundings const& surroundings);

  /// One parameter update, or none if loss or gradient are not finite (StepReport::skipped); then a loss
  /// scale that may change is halved. Throws CommError before it changes anything where an operation between
  /// devices was cut off.
  StepReport step();
  /// Mean loss over `eval_batches` global batches of the fixed validation list.
  double validate();
  /// `length` tokens that go on from `prompt`, drawn at `temperature` (0: the likeliest). The first call
  /// takes the sampler's memory.
  std::vector<std::int32_t> sample(std::vector<std::int32_t> const& prompt, std::int64_t length,
                                   double temperature);
  /// The fingerprint of the weights (docs/numerics.md, rule 12).
  std::uint64_t weights_hash();

  /// Not collective, but called by all ranks: goes on from `state`, whose tensors are filled in by the caller
  /// (state.hpp).
  void resume(TrainingState const& state);

  [[nodiscard]] TrainingState state() const noexcept {
    return {step_, updates_, loader_.position(step_), loss_scale_.state()};
  }
  /// Steps made so far, skipped ones included, those before a resumption too.
  [[nodiscard]] std::int64_t steps_done() const noexcept { return step_; }
  [[nodiscard]] RunConfig const& config() const noexcept { return config_; }
  [[nodiscard]] data::Dataset const& dataset() const noexcept { return *around_.dataset; }
  [[nodiscard]] model::Stage<T>& stage() noexcept { return *stage_; }
  [[nodiscard]] optim::LossScale const& loss_scale() const noexcept { return loss_scale_; }
  [[nodiscard]] Plan const& plan() const noexcept { return plan_; }
  [[nodiscard]] ExecutionSpace const& exec() const noexcept { return exec_; }
  /// What checkpoints are read from and into; kept, since a save goes on while training does.
  [[nodiscard]] HostTensors<T>& host_tensors() noexcept { return host_tensors_; }

 private:
  [[nodiscard]] layers::Context make_context();
  void run(pipeline::Schedule const& schedule, Pass const& pass);
  /// Forward and backward of all microbatches, and the reduction.
  [[nodiscard]] params::ReducedGradients<T> make_gradients(Pass pass);
  [[nodiscard]] bool has_losses() const { return plan_.stage.is_last() && counts_for_tp(); }
  /// Adds this rank's loss sums of the last run, once they are there, to its microbatches' places; the rest
  /// of `losses` stays.
  void add_losses(std::span<double> losses) const;
  /// Completes `sums_`: every entry is filled by one rank and zero on all others, so any order of addition is
  /// exact.
  void complete_sums();
  void update(params::ReducedGradients<T>&& gradients, StepReport& report);
  void measure(StepReport& report, double step_s);
  [[nodiscard]] bool counts_for_tp() const { return plan_.place.tp == 0; }

  RunConfig config_;
  Plan plan_;
  Surroundings around_;
  ExecutionSpace exec_;
  std::vector<comm::Communicator*> background_;
  pipeline::Channels channels_;
  Arena parameters_, activations_, buffers_, sampling_;
  std::unique_ptr<model::Stage<T>> stage_;
  data::BatchLoader loader_;
  std::optional<data_parallel::GradientReducer<T>> reducer_;
  std::optional<optim::SquaredSums<T>> squared_sums_;
  std::optional<StageRunner<T>> runner_;
  std::optional<Sampler<T>> sampler_;
  std::optional<StepGraph> graph_;
  HostTensors<T> host_tensors_;
  pipeline::Executor<T> executor_;
  pipeline::Schedule training_, evaluation_;  // of this stage
  optim::Adamw<T> optimiser_;
  optim::LearningRate learning_rate_;
  optim::LossScale loss_scale_;
  std::vector<double> sums_;   // loss sums of the M microbatches, then sums of squares of all (tensor, tile)
  std::vector<double> times_;  // what `measure` reduces
  std::int64_t step_ = 0;
  std::int64_t updates_ = 0;
};

TESSERA_COMPUTE_TYPES(extern template class, Trainer)

}  // namespace tessera::train
