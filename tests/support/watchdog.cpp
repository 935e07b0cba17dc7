// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "watchdog.hpp"

#include <cstdio>
#include <cstdlib>

#include "tessera/base/exit_code.hpp"

namespace tessera::support {

Watchdog::Watchdog(int rank, std::chrono::seconds limit)
    : rank_(rank),
      limit_(limit),
      deadline_(std::chrono::steady_clock::now() + limit),
      thread_([this] { watch(); }) {}

Watchdog::~Watchdog() {
  {
    std::lock_guard const lock(mutex_);
    done_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Watchdog::enter(std::string what) {
  std::lock_guard const lock(mutex_);
  what_ = std::move(what);
  failures_.clear();
  deadline_ = std::chrono::steady_clock::now() + limit_;
}

void Watchdog::note_failure(std::string const& failure) {
  std::lock_guard const lock(mutex_);
  failures_ += failure;
}

void Watchdog::watch() {
  std::unique_lock lock(mutex_);
  while (!done_) {
    auto const deadline = deadline_;
    if (wake_.wait_until(lock, deadline, [this] { return done_; })) return;
    if (deadline_ > std::chrono::steady_clock::now()) continue;
    std::fprintf(stderr, "rank %d hangs in %s for %lld s\n%s", rank_, what_.c_str(),
                 static_cast<long long>(limit_.count()), failures_.c_str());
    // Ranks reach the limit together; the first to leave ends the others, so all get time to speak.
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    std::_Exit(static_cast<int>(ExitCode::hang));
  }
}

}  // namespace tessera::support
