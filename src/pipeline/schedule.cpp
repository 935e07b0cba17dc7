// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/schedule.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tessera::pipeline {

char const* to_string(ActionKind kind) {
  switch (kind) {
    case ActionKind::forward: return "forward";
    case ActionKind::backward: return "backward";
    case ActionKind::send_forward: return "send forward";
    case ActionKind::receive_forward: return "receive forward";
    case ActionKind::send_backward: return "send backward";
    case ActionKind::receive_backward: return "receive backward";
  }
  return "unknown action";
}

std::string to_string(Action const& action) {
  return fmt::format("{} of microbatch {}", to_string(action.kind), action.microbatch);
}

int Schedule::live_activations(int stage) const {
  int live = 0;
  int most = 0;
  for (auto const& action : actions.at(static_cast<std::size_t>(stage))) {
    if (action.kind == ActionKind::forward) most = std::max(most, ++live);
    bool const ends = action.kind == (has_backward ? ActionKind::backward : ActionKind::forward);
    if (ends) --live;
  }
  return most;
}

}  // namespace tessera::pipeline
