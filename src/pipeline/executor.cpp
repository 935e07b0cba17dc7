// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/executor.hpp"

#include <chrono>

#include "tessera/comm/collectives.hpp"

namespace tessera::pipeline {

template <class T>
Executor<T>::Executor(int stage, Channels channels, int slots)
    : stage_(stage),
      channels_(channels),
      outputs_sent_(static_cast<std::size_t>(slots)),
      gradients_sent_(static_cast<std::size_t>(slots)) {}

template <class T>
std::size_t Executor<T>::slot(int microbatch) const {
  return static_cast<std::size_t>(microbatch) % outputs_sent_.size();
}

template <class T>
void Executor<T>::receive(comm::Communicator& channel, Matrix<T> buffer, int peer, StreamRef stream) {
  auto const start = std::chrono::steady_clock::now();
  comm::receive(channel, buffer, peer, stream).wait(stream);
  waited_s_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

template <class T>
void Executor<T>::run(Action const& action, StageWork<T>& work, StreamRef stream) {
  int const mb = action.microbatch;
  auto& output_sent = outputs_sent_[slot(mb)];
  auto& gradient_sent = gradients_sent_[slot(mb)];
  switch (action.kind) {
    case ActionKind::forward:
      output_sent.wait(stream);
      work.forward(mb);
      break;
    case ActionKind::backward:
      gradient_sent.wait(stream);
      work.backward(mb);
      break;
    case ActionKind::send_forward:
      output_sent = comm::send(*channels_.forward, work.output(mb), stage_ + 1, stream);
      break;
    case ActionKind::receive_forward: receive(*channels_.forward, work.input(mb), stage_ - 1, stream); break;
    case ActionKind::send_backward:
      gradient_sent = comm::send(*channels_.backward, work.gradient(mb), stage_ - 1, stream);
      break;
    case ActionKind::receive_backward:
      gradient_sent.wait(stream);
      receive(*channels_.backward, work.gradient(mb), stage_ + 1, stream);
      break;
  }
}

template <class T>
void Executor<T>::run(Schedule const& schedule, StageWork<T>& work, StreamRef stream) {
  waited_s_ = 0;
  for (auto const& action : schedule.actions[static_cast<std::size_t>(stage_)]) run(action, work, stream);
  for (auto* requests : {&outputs_sent_, &gradients_sent_}) {
    for (auto& request : *requests) request.wait(stream);
  }
}

TESSERA_COMPUTE_TYPES(template class, Executor)

}  // namespace tessera::pipeline
