// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Who waits for whom, out of what processes have posted.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "train/watchdog/hang_report.hpp"

namespace tessera::train {

/// "all_reduce (sum) 41 on tp: ...", of a call that `process` has posted.
[[nodiscard]] std::string text_of(comm::PostedCall const& call, ProcessView const& process);

/// One rank of a group, with the channel by which it belongs to it.
struct GroupMember {
  ProcessView const* process;
  ProcessView::Channel const* channel;
};

class WaitGraph {
 public:
  /// `processes` must outlive the object.
  explicit WaitGraph(std::vector<ProcessView> const& processes);

  /// By the group's number.
  [[nodiscard]] std::map<std::uint64_t, std::vector<GroupMember>> const& groups() const noexcept {
    return groups_;
  }
  /// Whether `other` has not done its part of what `waiter`, which waits, is blocked in.
  [[nodiscard]] bool waits_for(ProcessView const& waiter, ProcessView const& other) const;
  /// The ranks that wait in the same call of the same group as `one`, which waits.
  [[nodiscard]] std::vector<int> waiters_with(ProcessView const& one) const;
  /// The ranks that have not done their part of what `waiter`, which waits, is blocked in.
  [[nodiscard]] std::vector<int> awaited_by(ProcessView const& waiter) const;

 private:
  std::vector<ProcessView> const& processes_;
  std::map<std::uint64_t, std::vector<GroupMember>> groups_;
};

}  // namespace tessera::train
