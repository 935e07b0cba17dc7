// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Who waits for whom, out of what processes have posted.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "train/watchdog/hang_report.hpp"

namespace tessera::train {

/// "all_reduce (sum) 41 on tp: ...", of a call that `process` has posted.
[[nodiscard]] std::string text_of(comm::PostedCall const& call, ProcessView const& process);

/// Whether `process`, which waits, waits for its device and with it for all that it has called.
[[nodiscard]] bool waits_for_device(ProcessView const& process);
/// What `process`, which waits, does so in: "in all_reduce ...", "for the device after all_reduce ...".
[[nodiscard]] std::string wait_text(ProcessView const& process);

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
  /// The call that `waiter`, which waits, is blocked in and in which `other` has not done its part. Of all
  /// that one calls that waits for its device, the oldest that is known.
  [[nodiscard]] std::optional<comm::PostedCall> owed(ProcessView const& waiter,
                                                     ProcessView const& other) const;
  /// Whether there is such a call.
  [[nodiscard]] bool waits_for(ProcessView const& waiter, ProcessView const& other) const {
    return owed(waiter, other).has_value();
  }
  /// The ranks that wait in the same call of the same group as `one`, which waits in `call`.
  [[nodiscard]] std::vector<int> waiters_with(ProcessView const& one, comm::PostedCall const& call) const;
  /// The ranks that have not done their part of what `waiter`, which waits, is blocked in.
  [[nodiscard]] std::vector<int> awaited_by(ProcessView const& waiter) const;

 private:
  /// Whether `other` has not done its part of `call`, which `waiter` has posted.
  [[nodiscard]] bool lacks(ProcessView const& other, comm::PostedCall const& call,
                           ProcessView const& waiter) const;

  std::vector<ProcessView> const& processes_;
  std::map<std::uint64_t, std::vector<GroupMember>> groups_;
};

}  // namespace tessera::train
