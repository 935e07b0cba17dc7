// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

namespace tessera::comm {

/// Lends out instances of `State` and takes them back, so that operations started every step allocate nothing
/// once as many exist as are ever under way at a time. For implementers of communicators.
template <class State>
class StatePool {
 public:
  /// An instance nobody uses; made of `arguments` when there is none.
  template <class... Arguments>
  State& take(Arguments&&... arguments) {
    if (free_.empty()) {
      all_.push_back(std::make_unique<State>(std::forward<Arguments>(arguments)...));
      free_.reserve(all_.size());
      return *all_.back();
    }
    State& state = *free_.back();
    free_.pop_back();
    return state;
  }
  /// `state` came from take.
  void give_back(State& state) noexcept { free_.push_back(&state); }

 private:
  std::vector<std::unique_ptr<State>> all_;
  std::vector<State*> free_;  // capacity for all: give_back cannot fail
};

}  // namespace tessera::comm
