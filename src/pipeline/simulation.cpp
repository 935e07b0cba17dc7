// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "simulation.hpp"

#include <algorithm>
#include <deque>
#include <utility>

namespace tessera::pipeline {

namespace {

bool is_send(ActionKind kind) {
  return kind == ActionKind::send_forward || kind == ActionKind::send_backward;
}

class Run {
 public:
  Run(Schedule const& schedule, SimulationOptions const& options)
      : schedule_(schedule), options_(options), inboxes_(schedule.actions.size()) {
    result_.position.resize(stages());
    result_.clock.resize(stages());
    result_.busy.resize(stages());
  }

  Simulation to_the_end() {
    std::vector<std::size_t> ready(stages());
    for (std::size_t stage = 0; stage < stages(); ++stage) ready[stage] = stage;
    while (!ready.empty()) {
      std::size_t const stage = ready.back();
      ready.pop_back();
      if (!advance(stage)) continue;
      ready.push_back(stage);
      if (stage > 0) ready.push_back(stage - 1);
      if (stage + 1 < stages()) ready.push_back(stage + 1);
    }
    return std::move(result_);
  }

 private:
  struct Message {
    double time;  ///< when it was sent
    int microbatch;
  };

  /// The messages on their way to a stage, from either side.
  struct Inboxes {
    std::deque<Message> forward;
    std::deque<Message> backward;
  };

  [[nodiscard]] std::size_t stages() const { return schedule_.actions.size(); }

  [[nodiscard]] Action const* next(std::size_t stage) const {
    auto const& actions = schedule_.actions[stage];
    std::size_t const position = result_.position[stage];
    return position == actions.size() ? nullptr : &actions[position];
  }

  [[nodiscard]] std::deque<Message>& inbox(std::size_t stage, ActionKind receive) {
    return receive == ActionKind::receive_forward ? inboxes_[stage].forward : inboxes_[stage].backward;
  }

  /// Ends the next action of `stage`; false if there is none or it must wait.
  bool advance(std::size_t stage) {
    auto const* const action = next(stage);
    if (action == nullptr || must_wait_for_buffer(stage, *action)) return false;
    bool const ended = is_compute(action->kind) ? compute(stage, action->kind)
                       : is_send(action->kind)  ? send(stage, *action)
                                                : receive(stage, action->kind);
    if (ended) ++result_.position[stage];
    return ended;
  }

  /// True while the buffer that `action` writes is still being sent.
  [[nodiscard]] bool must_wait_for_buffer(std::size_t stage, Action const& action) {
    if (options_.slots.empty() || is_send(action.kind)) return false;
    bool const towards_next = action.kind == ActionKind::forward;
    bool const towards_previous =
        action.kind == ActionKind::backward || action.kind == ActionKind::receive_backward;
    if (towards_next && stage + 1 < stages()) return is_sending(stage, inboxes_[stage + 1].forward, action);
    if (towards_previous && stage > 0) return is_sending(stage, inboxes_[stage - 1].backward, action);
    return false;
  }

  [[nodiscard]] bool is_sending(std::size_t stage, std::deque<Message> const& messages,
                                Action const& action) const {
    int const slots = options_.slots[stage];
    return std::ranges::any_of(messages, [&](Message const& message) {
      return message.microbatch % slots == action.microbatch % slots;
    });
  }

  bool compute(std::size_t stage, ActionKind kind) {
    double const cost = kind == ActionKind::forward ? options_.forward_cost : options_.backward_cost;
    result_.clock[stage] += cost;
    result_.busy[stage] += cost;
    return true;
  }

  bool send(std::size_t stage, Action const& action) {
    bool const towards_next = action.kind == ActionKind::send_forward;
    if (towards_next ? stage + 1 == stages() : stage == 0) return false;
    std::size_t const peer = towards_next ? stage + 1 : stage - 1;
    ActionKind const wanted = towards_next ? ActionKind::receive_forward : ActionKind::receive_backward;
    auto& messages = inbox(peer, wanted);
    if (options_.sends_wait) {
      auto const* const action_of_peer = next(peer);
      bool const meets = action_of_peer != nullptr && action_of_peer->kind == wanted && messages.empty();
      if (!meets) return false;
    }
    messages.push_back({result_.clock[stage], action.microbatch});
    return true;
  }

  bool receive(std::size_t stage, ActionKind kind) {
    auto& messages = inbox(stage, kind);
    if (messages.empty()) return false;
    result_.clock[stage] = std::max(result_.clock[stage], messages.front().time);
    messages.pop_front();
    return true;
  }

  Schedule const& schedule_;
  SimulationOptions const& options_;
  std::vector<Inboxes> inboxes_;
  Simulation result_;
};

}  // namespace

Simulation simulate(Schedule const& schedule, SimulationOptions const& options) {
  return Run(schedule, options).to_the_end();
}

}  // namespace tessera::pipeline
