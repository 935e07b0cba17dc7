// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A pipeline schedule is data: for every stage the list of what it does with the microbatches of one step, in
// order. Generators (generators.hpp) write it, the checker (checker.hpp) proves it sound and costs it, and
// one executor runs it; none of them knows which schedule it is. docs/schedules.md draws the schedules.
//
// What the executor promises, and what a schedule may therefore rely on:
//   - Channels. Between stage s and s + 1 there are two, one for each direction; messages of a channel are
//     received in the order in which they were sent and carry no tag.
//   - A send starts and does not wait: the stage goes on. Microbatch i uses buffer i % slots of its stage
//   (`slots`
//     in checker.hpp); what writes a buffer waits until the message sent from it before is away.
//   - A receive names the point at which its message must be there, right before the compute that needs it.
//   An
//     executor may post it earlier, in the channel's order: no schedule has to be rewritten for that.
//   - Compute actions run one after another, in the listed order.
#pragma once

#include <string>
#include <vector>

namespace tessera::pipeline {

/// One thing a stage does. "Forward" messages are activations and travel from stage s to s + 1; "backward"
/// ones are their gradients and travel from s to s - 1.
enum class ActionKind { forward, backward, send_forward, receive_forward, send_backward, receive_backward };

struct Action {
  ActionKind kind;
  int microbatch;  ///< 0 .. microbatches - 1

  friend bool operator==(Action const&, Action const&) = default;
};

/// True for the two kinds that compute; the others move messages.
[[nodiscard]] constexpr bool is_compute(ActionKind kind) {
  return kind == ActionKind::forward || kind == ActionKind::backward;
}

/// "forward", "send backward" ...
[[nodiscard]] char const* to_string(ActionKind kind);

/// "send backward of microbatch 3".
[[nodiscard]] std::string to_string(Action const& action);

/// The whole pipeline's list for one step.
struct Schedule {
  int stages = 1;
  int microbatches = 1;
  std::vector<std::vector<Action>> actions;  ///< one list a stage
  bool has_backward = true;                  ///< false: a forward pass alone (evaluation, sampling)

  /// The largest number of microbatches whose activations `stage` keeps at one time. A microbatch is alive
  /// from its forward action on until its backward action has ended, or during its forward action alone when
  /// the schedule has no backward.
  [[nodiscard]] int live_activations(int stage) const;
};

}  // namespace tessera::pipeline
