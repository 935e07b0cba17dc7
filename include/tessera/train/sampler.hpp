// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "tessera/comm/device_work.hpp"
#include "tessera/model/stage.hpp"
#include "tessera/pipeline/executor.hpp"
#include "tessera/train/plan.hpp"
#include "tessera/train/run_config.hpp"

namespace tessera::train {

/// Writes text with a model that is split over ranks, one token at a time: every token is a forward pass of
/// the last S tokens over the pipeline. Replicas all do the same. With explicit tiles the text is the same on
/// every layout.
template <class T>
class Sampler final : public pipeline::StageWork<T> {
 public:
  /// Takes activation memory for one sequence from `arena` and borrows the parameters of `stage`. `context`
  /// is the run's; `channels` lead over `pp`.
  Sampler(RunConfig const& config, Plan const& plan, model::Stage<T> const& stage,
          layers::Context const& context, comm::Communicator& pp, pipeline::Channels channels, Arena& arena,
          comm::DeviceWatchers const& devices);

  /// The next token after `text`, drawn at `temperature` (0: the likeliest) with the random number `number`.
  /// Collective over tp and pp.
  [[nodiscard]] std::int32_t next(std::vector<std::int32_t> const& text, std::int64_t number,
                                  double temperature);

  void forward(int microbatch) override;
  void backward(int microbatch) override;
  Matrix<T> input(int) override { return stage_.input(0); }
  Matrix<T> output(int) override { return stage_.output(0); }
  Matrix<T> gradient(int) override;

  /// The memory it takes, for the prediction: over a counting arena nothing is allocated.
  struct Memory {
    Memory(RunConfig const& config, Plan const& plan, model::Stage<T> const& values, Arena& arena);

    model::Stage<T> stage;
    Vector<std::int32_t> tokens;  ///< (S)
    Vector<T> logits;             ///< (padded V)
  };

 private:
  [[nodiscard]] std::int32_t draw(std::int64_t number, double temperature) const;

  Memory memory_;
  model::Stage<T>& stage_;
  layers::Context context_;
  comm::Communicator* pp_;
  comm::DeviceWatchers devices_;
  pipeline::Executor<T> executor_;
  pipeline::Schedule schedule_;
  std::int64_t vocabulary_;
  Kokkos::View<std::int32_t*, StagingSpace> host_tokens_;
  Kokkos::View<T*, StagingSpace> host_logits_;
};

TESSERA_COMPUTE_TYPES(extern template class, Sampler)

}  // namespace tessera::train
