// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

namespace tessera::checkpoint::saving {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// How long training has waited.
class Waiting {
 public:
  /// Counts the time of a scope.
  class Scope {
   public:
    explicit Scope(Waiting& waiting) : waiting_(waiting) { waiting_.since_ = Clock::now(); }
    Scope(Scope const&) = delete;
    Scope& operator=(Scope const&) = delete;
    ~Scope() { waiting_.before_ += seconds_since(waiting_.since_); }

   private:
    Waiting& waiting_;
  };
  /// All scopes that have ended.
  [[nodiscard]] double ended_s() const noexcept { return before_; }
  /// With the one under way.
  [[nodiscard]] double until_now_s() const { return before_ + seconds_since(since_); }

 private:
  double before_ = 0;
  Clock::time_point since_;
};

}  // namespace tessera::checkpoint::saving
