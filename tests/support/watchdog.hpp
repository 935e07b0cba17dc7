// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace tessera::support {

/// Ends the process with exit code 76 when one test takes too long, after saying which, on which rank, and
/// what had already failed in it: a rank that left a test early is the usual reason why the others hang in
/// it.
class Watchdog {
 public:
  Watchdog(int rank, std::chrono::seconds limit);
  ~Watchdog();
  Watchdog(Watchdog const&) = delete;
  Watchdog& operator=(Watchdog const&) = delete;

  /// Starts the clock anew for the named piece of work.
  void enter(std::string what);
  /// Adds a failure to what is said if the work hangs.
  void note_failure(std::string const& failure);

 private:
  void watch();

  int rank_;
  std::chrono::seconds limit_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::chrono::steady_clock::time_point deadline_;
  std::string what_ = "the start of the program";
  std::string failures_;
  bool done_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace tessera::support
