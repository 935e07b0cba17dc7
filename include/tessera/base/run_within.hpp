// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <thread>
#include <utility>
#include <vector>

namespace tessera {

/// For calls that may hang when a process ends: runs `actions`, which own all that they use and do not throw,
/// each on a thread of its own, and returns when all have ended or after `limit`. Then the threads are left
/// behind. Throws std::system_error where a thread cannot be had.
inline void run_within(std::chrono::milliseconds limit, std::vector<std::function<void()>> actions) {
  auto const deadline = std::chrono::steady_clock::now() + limit;
  std::vector<std::future<void>> ends;
  for (auto& action : actions) {
    std::promise<void> ended;
    ends.push_back(ended.get_future());
    std::thread([action = std::move(action), promise = std::move(ended)]() mutable {
      action();
      promise.set_value();
    }).detach();
  }
  for (auto const& end : ends) (void)end.wait_until(deadline);
}

inline void run_within(std::chrono::milliseconds limit, std::function<void()> action) {
  run_within(limit, std::vector<std::function<void()>>{std::move(action)});
}

}  // namespace tessera
