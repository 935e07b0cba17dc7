// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

#include "tessera/comm/call_board.hpp"

namespace tessera::train {

/// How many time-outs the wait of a process may last, or its last one: as its communicator allows; for its
/// device one.
inline int allowed_time_outs(comm::ProcessRecord const& record) {
  comm::PostedCall call;
  bool const in_call = record.waiting.read(call) && call.channel != comm::PostedCall::the_device;
  return in_call ? record.channels[call.channel].patience : 1;
}

/// How long the process that a record is of has been in the wait it is in.
class WaitClock {
 public:
  using Milliseconds = std::chrono::milliseconds;

  /// To be called with the time since the call before; whether the process waits at all, or in another wait
  /// than then, is seen at such moments only.
  void pass(comm::ProcessRecord const& record, Milliseconds passed) {
    auto const now = record.waits.load(std::memory_order_acquire);
    waits_ = now % 2 == 1;
    waited_ = now == wait_ && waits_ ? waited_ + passed : Milliseconds(0);
    wait_ = now;
  }
  /// Whole ones that the wait has lasted for.
  [[nodiscard]] int time_outs(double timeout_s) const {
    return waits_ ? static_cast<int>(std::chrono::duration<double>(waited_).count() / timeout_s) : 0;
  }
  /// The number of the wait, or of the last one.
  [[nodiscard]] std::uint64_t wait() const noexcept { return wait_; }
  /// Zero in the first look at a wait, and outside waits.
  [[nodiscard]] Milliseconds waited() const noexcept { return waited_; }

 private:
  std::uint64_t wait_ = 0;
  Milliseconds waited_{0};
  bool waits_ = false;
};

}  // namespace tessera::train
