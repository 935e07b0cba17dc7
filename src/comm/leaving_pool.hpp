// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

namespace tessera::comm {

/// States of one communicator. A state left to a queue comes back when the queue has passed its gate.
template <class State>
class LeavingPool {
 public:
  template <class... Arguments>
  State& take(Arguments&... arguments) {
    std::erase_if(left_, [this](State* state) {
      if (!state->is_passed()) return false;
      free_.push_back(state);
      return true;
    });
    if (free_.empty()) {
      all_.push_back(std::make_unique<State>(arguments...));
      free_.reserve(all_.size());
      left_.reserve(all_.size());
      return *all_.back();
    }
    State& state = *free_.back();
    free_.pop_back();
    return state;
  }
  void give_back(State& state) noexcept { free_.push_back(&state); }
  void leave(State& state) noexcept { left_.push_back(&state); }
  /// Whether all may be destroyed.
  [[nodiscard]] bool all_free() const noexcept {
    return std::ranges::all_of(left_,
                               [](State const* state) { return state->is_passed() || state->is_lost(); });
  }

 private:
  std::vector<std::unique_ptr<State>> all_;
  std::vector<State*> free_, left_;  // capacity for all
};

}  // namespace tessera::comm
