// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "tessera/base/compute_types.hpp"
#include "tessera/base/views.hpp"
#include "tessera/comm/communicator.hpp"
#include "tessera/pipeline/schedule.hpp"

namespace tessera::pipeline {

/// What a stage computes for the executor, and the buffers that cross its borders. Microbatches are numbered
/// within the replica. Two microbatches share buffers if their numbers agree modulo the executor's slots.
template <class T>
class StageWork {
 public:
  virtual ~StageWork() = default;
  StageWork() = default;
  StageWork(StageWork const&) = delete;
  StageWork& operator=(StageWork const&) = delete;

  /// From input to output.
  virtual void forward(int microbatch) = 0;
  /// Turns the gradient of the output into that of the input, in place; the last stage makes the former
  /// itself.
  virtual void backward(int microbatch) = 0;

  /// Received from the previous stage. Residual-stream activations (S*B, D), of fewer rows under sequence
  /// parallelism, as are the two below.
  virtual Matrix<T> input(int microbatch) = 0;
  /// Sent to the next stage.
  virtual Matrix<T> output(int microbatch) = 0;
  /// Received from the next stage, then, after backward, sent to the previous one.
  virtual Matrix<T> gradient(int microbatch) = 0;
};

/// The two directions of the pipeline, each a channel of its own; rank in them = stage. Null when there is
/// one stage.
struct Channels {
  comm::Communicator* forward = nullptr;
  comm::Communicator* backward = nullptr;
};

/// Runs one stage's list of a schedule: computes, receives what it needs, and sends what it made without
/// waiting for the receiver. A buffer that is still being sent is waited for only when its slot is needed
/// again.
template <class T>
class Executor {
 public:
  /// `slots`: how many microbatches have buffers of their own, at least pipeline::slots(schedule, stage).
  Executor(int stage, Channels channels, int slots);

  /// Collective over the pipeline. Throws CommError.
  void run(Schedule const& schedule, StageWork<T>& work, StreamRef stream);

  /// Seconds this stage stood still in the last run, waiting for a neighbour.
  [[nodiscard]] double waited_s() const noexcept { return waited_s_; }

 private:
  void run(Action const& action, StageWork<T>& work, StreamRef stream);
  void receive(comm::Communicator& channel, Matrix<T> buffer, int peer, StreamRef stream);
  [[nodiscard]] std::size_t slot(int microbatch) const;

  int stage_;
  Channels channels_;
  std::vector<comm::Request> outputs_sent_, gradients_sent_;  // (slots)
  double waited_s_ = 0;
};

TESSERA_COMPUTE_TYPES(extern template class, Executor)

}  // namespace tessera::pipeline
