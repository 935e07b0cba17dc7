// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "staged.hpp"

#include <chrono>
#include <utility>

namespace tessera::comm {

namespace {

/// How long a queue may take to go on after its communicator has failed, which ends what the device does.
constexpr std::chrono::seconds time_to_end_after_failure{10};

}  // namespace

void StagedState::begin() {
  error_ = nullptr;
  ended_ = false;
  ticket_ = turns_.take_ticket();
  enlist(*this);
  progress();
}

void StagedState::begin_in(WorkQueue& work, DeviceQueues& queues, StreamRef stream) {
  if (!before_) before_ = queues.make_mark();
  if (!after_) after_ = queues.make_mark();
  bool const follows = queues.has_queue(stream);
  if (follows) before_->set(stream);
  follows_stream_ = follows;
  work_ = &work;
  queues_ = &queues;
  left_ = false;
  begin();
}

/// Whether the host has done its part.
bool StagedState::started() noexcept {
  progress();
  return ended_;
}

bool StagedState::test() {
  bool const ended = started();
  if (error_) std::rethrow_exception(error_);
  return ended && (work_ == nullptr || queue_has_ended());
}

/// What has failed lets its queue go on, so the operations are asked as well.
bool StagedState::queue_has_ended() {
  for (auto& request : last_stage_) {
    if (!request.test()) return false;
  }
  return after_->reached();
}

void StagedState::wait_host() {
  wait_until([this] { return test(); });
}

bool StagedState::order(StreamRef stream) {
  if (work_ == nullptr || !queues_->has_queue(stream)) return test();
  bool const ended = started();
  if (error_) std::rethrow_exception(error_);
  if (!ended) return false;
  after_->order(stream);
  left_ = true;
  return true;
}

void StagedState::wait(StreamRef stream) {
  wait_until([&] { return order(stream); });
}

void StagedState::release() noexcept {
  wait_until([this] { return started(); });
  if (work_ != nullptr && !left_) wait_for_queue();
  last_stage_.clear();
  work_ = nullptr;
  recycle();
}

void StagedState::wait_for_queue() noexcept {
  try {
    return wait_host();
  } catch (std::exception const&) {
    auto const deadline = std::chrono::steady_clock::now() + time_to_end_after_failure;
    wait_until([&] {
      try {
        return after_->reached() || std::chrono::steady_clock::now() > deadline;
      } catch (std::exception const&) {
        return true;
      }
    });
  }
}

void StagedState::progress() noexcept {
  if (ended_ || !turns_.admits(ticket_)) return;
  try {
    if (!advance()) return;
    mark_end();
  } catch (...) {
    error_ = std::current_exception();
    try {
      mark_end();                      // of what was started
    } catch (std::exception const&) {  // the first error is told
    }
  }
  finish();
}

void StagedState::mark_end() {
  if (work_ != nullptr) after_->set(work_->stream());
}

/// True when no stage is left.
bool StagedState::advance() {
  if (std::exchange(follows_stream_, false)) before_->order(work_->stream());
  for (;;) {
    for (; past_in_stage_ < stage_.size(); ++past_in_stage_) {
      auto& request = stage_[past_in_stage_];
      if (!(work_ != nullptr ? request.order(work_->stream()) : request.test())) return false;
    }
    if (work_ != nullptr) std::swap(stage_, last_stage_);
    stage_.clear();
    past_in_stage_ = 0;
    if (!start_stage()) return true;
  }
}

void StagedState::finish() noexcept {
  ended_ = true;
  delist(*this);
  stage_.clear();  // where it failed this may wait, and so move on whatever is enlisted
  past_in_stage_ = 0;
  turns_.leave();
}

}  // namespace tessera::comm
