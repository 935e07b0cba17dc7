// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "tessera/base/stream_graph.hpp"

namespace tessera::train {

/// All that a step's forward and backward passes are given as numbers and that may differ from step to step;
/// what else differs (token ids) lies in memory whose address stays.
struct StepNumbers {
  double loss_scale = 1;
  std::int64_t step = 0;  ///< of random numbers; 0 where nothing is drawn

  bool operator==(StepNumbers const&) const = default;
};

/// A step's work given to the device piece by piece at first, then recorded, and recorded again where its
/// numbers differ from those of the recording. The device does the same either way, so bits are the same.
class StepGraph {
 public:
  /// Steps given piece by piece: in them libraries choose their algorithms and memory is taken.
  static constexpr int warm_up = 2;

  explicit StepGraph(std::unique_ptr<StreamGraph> graph) : graph_(std::move(graph)) {}

  /// `work` gives work to `exec` alone and does not wait for it. A recorded step does not call it.
  void run(ExecutionSpace const& exec, StepNumbers const& numbers, std::function<void()> const& work) {
    if (steps_ < warm_up) {
      ++steps_;
      return work();
    }
    if (recorded_ != numbers) {
      recorded_.reset();
      graph_->record(exec, work);
      recorded_ = numbers;
    }
    graph_->launch(exec);
  }

 private:
  std::unique_ptr<StreamGraph> graph_;
  int steps_ = 0;
  std::optional<StepNumbers> recorded_;
};

}  // namespace tessera::train
