// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "staged.hpp"

#include <utility>

namespace tessera::comm {

void StagedState::begin() {
  error_ = nullptr;
  ended_ = false;
  ticket_ = turns_.take_ticket();
  enlist(*this);
  progress();
}

bool StagedState::test() {
  progress();
  if (error_) std::rethrow_exception(error_);
  return ended_;
}

void StagedState::wait_host() {
  wait_until([this] { return test(); });
}

void StagedState::wait(StreamRef) { wait_host(); }

void StagedState::release() noexcept {
  wait_until([this] {
    progress();
    return ended_;
  });
  recycle();
}

void StagedState::progress() noexcept {
  if (ended_ || !turns_.admits(ticket_)) return;
  try {
    advance();
  } catch (...) {
    error_ = std::current_exception();
    finish();
  }
}

void StagedState::advance() {
  for (;;) {
    for (; ended_in_stage_ < stage_.size(); ++ended_in_stage_) {
      if (!stage_[ended_in_stage_].test()) return;
    }
    stage_.clear();
    ended_in_stage_ = 0;
    if (!start_stage()) return finish();
  }
}

void StagedState::finish() noexcept {
  stage_.clear();
  ended_in_stage_ = 0;
  ended_ = true;
  turns_.leave();
  delist(*this);
}

}  // namespace tessera::comm
