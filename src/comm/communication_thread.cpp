// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tessera/base/error.hpp"
#include "tessera/comm/progress.hpp"
#include "tessera/comm/threaded.hpp"

namespace tessera::comm {

CommunicationThread::CommunicationThread(std::unique_ptr<DeviceQueues> queues)
    : queues_(std::move(queues)), thread_([this] { work(); }) {}

CommunicationThread::~CommunicationThread() {
  {
    std::lock_guard const lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void CommunicationThread::submit(ThreadedOperation& operation) {
  {
    std::lock_guard const lock(mutex_);
    given_.push_back(&operation);
  }
  changed_.notify_all();
}

void CommunicationThread::run(std::function<void()> const& call) {
  if (is_caller()) return call();
  Job job{&call, nullptr};
  std::unique_lock lock(mutex_);
  jobs_.push_back(&job);
  changed_.notify_all();
  job_done_.wait(lock, [&] { return job.done; });
  if (job.error) std::rethrow_exception(job.error);
}

void CommunicationThread::note_failure(std::string const& what) noexcept {
  std::lock_guard const lock(mutex_);
  if (!failed_) failure_ = what;
  failed_ = true;
}

void CommunicationThread::rethrow_failure() {
  if (!failed_) return;
  std::lock_guard const lock(mutex_);
  throw CommError(fmt::format("an operation of the communication thread failed: {}", failure_));
}

void CommunicationThread::work() {
  while (collect()) {
    run_jobs();
    bool const moved = start_ready();
    progress_all();
    if (!advance_started() && !moved) std::this_thread::yield();
  }
  own_.reset();
}

bool CommunicationThread::collect() {
  std::unique_lock lock(mutex_);
  if (waiting_.empty() && started_.empty())
    changed_.wait(lock, [this] { return ending_ || !given_.empty() || !jobs_.empty(); });
  waiting_.insert(waiting_.end(), given_.begin(), given_.end());
  given_.clear();
  return !ending_ || !waiting_.empty() || !started_.empty() || !jobs_.empty();
}

void CommunicationThread::run_jobs() {
  std::unique_lock lock(mutex_);
  for (auto const jobs = std::exchange(jobs_, {}); auto* const job : jobs) {
    lock.unlock();
    try {
      (*job->call)();
    } catch (...) {
      job->error = std::current_exception();
    }
    lock.lock();
    job->done = true;
    job_done_.notify_all();
  }
}

bool CommunicationThread::holds_any_queue() const {
  auto const holds = [](ThreadedOperation const* operation) { return operation->holds_queue(); };
  return std::ranges::any_of(waiting_, holds) || std::ranges::any_of(started_, holds);
}

/// An operation whose device is not there yet holds its line up, and no other.
bool CommunicationThread::start_ready() {
  if (waiting_.empty()) return false;
  if (queues_ && !own_) {
    queues_->enter();
    own_.emplace(copying_instance());
  }
  held_lines_.clear();
  auto const begin = std::stable_partition(waiting_.begin(), waiting_.end(), [&](ThreadedOperation* next) {
    bool const first = std::ranges::count(held_lines_, next->line()) == 0;
    if (first && next->ready() && !(next->takes_memory() && holds_any_queue())) return false;
    held_lines_.push_back(next->line());
    return true;
  });
  bool const moved = begin != waiting_.end();
  for (auto next = begin; next != waiting_.end(); ++next) {
    (*next)->begin(own_ ? StreamRef(*own_) : StreamRef());
    started_.push_back(*next);
  }
  waiting_.erase(begin, waiting_.end());
  return moved;
}

bool CommunicationThread::advance_started() {
  return std::erase_if(started_, [](ThreadedOperation* operation) { return operation->advance(); }) > 0;
}

}  // namespace tessera::comm
