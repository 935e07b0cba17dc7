// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace tessera::support::cuda_double {

/// Work that a thread of its own does in order. Destroying it waits for the work.
class Queue {
 public:
  Queue() : thread_([this] { work(); }) {}
  Queue(Queue const&) = delete;
  Queue& operator=(Queue const&) = delete;
  ~Queue() {
    {
      std::lock_guard const lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void push(std::function<void()> task) {
    {
      std::lock_guard const lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    changed_.notify_all();
  }
  /// Whether all given so far is done.
  [[nodiscard]] bool idle() {
    std::lock_guard const lock(mutex_);
    return tasks_.empty();
  }
  void drain() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return tasks_.empty(); });
  }

 private:
  /// A task leaves the queue when it is done.
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ending_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      auto const task = tasks_.front();
      lock.unlock();
      task();
      lock.lock();
      tasks_.pop_front();
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool ending_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace tessera::support::cuda_double
