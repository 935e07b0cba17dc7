// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <thread>
#include <utility>

namespace tessera {

/// For calls that may hang when a process ends: runs `action`, which owns all that it uses and does not
/// throw, on a thread of its own, and returns when it has ended or after `limit`. Then the thread is left
/// behind.
inline void run_within(std::chrono::milliseconds limit, std::function<void()> action) {
  std::promise<void> ended;
  auto const end = ended.get_future();
  std::thread([action = std::move(action), promise = std::move(ended)]() mutable {
    action();
    promise.set_value();
  }).detach();
  (void)end.wait_for(limit);
}

}  // namespace tessera
