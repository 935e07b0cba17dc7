// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "train/watchdog/hang_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "tessera/comm/call_text.hpp"
#include "train/watchdog/processes.hpp"

namespace tessera::train {

namespace {

using comm::PostedCall;
using Channel = ProcessView::Channel;

constexpr std::size_t most_lines = 24;

template <std::size_t n>
std::vector<PostedCall> calls_of(std::array<comm::PostedSlot, n> const& slots) {
  std::vector<PostedCall> calls;
  PostedCall call;
  for (auto const& slot : slots) {
    if (slot.read(call)) calls.push_back(call);
  }
  return calls;
}

std::string name_of(ProcessView const& process) {
  return fmt::format("rank {} (host {}, process {})", process.rank, process.host, process.process);
}

std::string text_of(PostedCall const& call, ProcessView const& process) {
  if (call.channel >= process.channels.size()) return "a call on a communicator that is not known";
  auto const& channel = process.channels[call.channel];
  return call_text(call, channel.name, channel.size);
}

std::string last_text(ProcessView const& process) {
  return process.last ? "its last call: " + text_of(*process.last, process) : "it has made no call yet";
}

/// One rank of a group, with the channel by which it belongs to it.
struct Member {
  ProcessView const* process;
  Channel const* channel;
};
using Groups = std::map<std::uint64_t, std::vector<Member>>;

Groups groups_of(std::vector<ProcessView> const& processes) {
  Groups groups;
  for (auto const& process : processes) {
    for (auto const& channel : process.channels) groups[channel.group].push_back({&process, &channel});
  }
  return groups;
}

/// Collects the lines of a report.
class Report {
 public:
  explicit Report(std::vector<ProcessView> const& processes)
      : processes_(processes), groups_(groups_of(processes)) {}

  std::string text() {
    add_failures();
    bool const failed = !lines_.empty();
    add_absent();
    add_mismatches();
    if (!failed) add_late(false);
    if (lines_.empty()) add_late(true);
    if (lines_.empty()) {
      lines_.push_back(
          "every rank has made the calls that others wait for: the network, or the "
          "communication library, does not finish them");
    }
    add_waits();
    std::string text;
    for (std::size_t i = 0; i < std::min(lines_.size(), most_lines); ++i) text += "  " + lines_[i] + "\n";
    if (lines_.size() > most_lines) text += fmt::format("  ... and {} more\n", lines_.size() - most_lines);
    return text;
  }

 private:
  void blame(ProcessView const& process, std::string const& line) {
    if (named_.insert(process.rank).second) lines_.push_back(line);
  }

  /// Communicators that their libraries have given up.
  void add_failures() {
    for (auto const& process : processes_) {
      if (!process.failure) continue;
      auto const& [communicator, reason] = *process.failure;
      blame(process, fmt::format("{}: the library for devices gives up {}: {}; {}", name_of(process),
                                 communicator.empty() ? "a communicator" : communicator, reason,
                                 last_texts(process, communicator)));
    }
  }

  /// The last call on each channel of that name.
  static std::string last_texts(ProcessView const& process, std::string_view name) {
    std::string text;
    for (auto const& channel : process.channels) {
      auto const& calls = channel.calls.empty() ? channel.messages : channel.calls;
      if (channel.name != name || calls.empty()) continue;
      text += (text.empty() ? "its last call there: " : "; ") +
              text_of(*std::ranges::max_element(calls, {}, &PostedCall::number), process);
    }
    return text.empty() ? last_text(process) : text;
  }

  /// Processes that do nothing any more.
  void add_absent() {
    for (auto const& process : processes_) {
      if (process.left) continue;
      auto const line = [&](std::string_view what) {
        blame(process,
              fmt::format("{} {}{}; {}", name_of(process), what, awaited(process), last_text(process)));
      };
      if (process.state == '?') {
        blame(process, fmt::format("{} does not answer: its host is down, cut off, or all its processes are "
                                   "stopped",
                                   name_of(process)));
      } else if (has_ended(process.state)) {
        line("has ended early, without leaving the job");
      } else if (is_stopped(process.state)) {
        line("is stopped (SIGSTOP, a debugger, or its batch system)");
      }
    }
  }

  /// What others wait in that this process has not entered: "; it has not entered ..., in which rank 0
  /// waits".
  std::string awaited(ProcessView const& process) const {
    for (auto const& waiter : processes_) {
      if (!waiter.waiting || !waits_for(waiter, process)) continue;
      return fmt::format("; it has not entered {}, in which {} wait{}", text_of(*waiter.waiting, waiter),
                         comm::ranks_text(waiters_of(*waiter.waiting, waiter)),
                         waiters_of(*waiter.waiting, waiter).size() == 1 ? "s" : "");
    }
    return "";
  }

  /// The ranks that wait in the same call of the same group.
  std::vector<int> waiters_of(PostedCall const& call, ProcessView const& one) const {
    if (comm::is_message(call.call.operation)) return {one.rank};
    std::vector<int> ranks;
    auto const group = channel_of(call, one).group;
    for (auto const& [process, channel] : groups_.at(group)) {
      if (process->waiting && channel_of(*process->waiting, *process).group == group &&
          process->waiting->number == call.number && !comm::is_message(process->waiting->call.operation)) {
        ranks.push_back(process->rank);
      }
    }
    return ranks;
  }

  static Channel const& channel_of(PostedCall const& call, ProcessView const& process) {
    static Channel const unknown;
    return call.channel < process.channels.size() ? process.channels[call.channel] : unknown;
  }

  /// Whether `other` has not done its part of what `waiter` is blocked in.
  bool waits_for(ProcessView const& waiter, ProcessView const& other) const {
    auto const& call = *waiter.waiting;
    auto const& own = channel_of(call, waiter);
    auto const group = groups_.find(own.group);
    if (group == groups_.end() || &waiter == &other) return false;
    for (auto const& [process, channel] : group->second) {
      if (process != &other) continue;
      if (!comm::is_message(call.call.operation)) return channel->collectives < call.number;
      if (channel->rank != call.call.peer) return false;
      auto const answer =
          call.call.operation == comm::Operation::receive ? comm::Operation::send : comm::Operation::receive;
      return std::ranges::none_of(channel->messages, [&](PostedCall const& message) {
        return message.call.operation == answer && message.call.peer == own.rank &&
               message.number >= call.number;
      });
    }
    return false;
  }

  /// Groups whose ranks gave the same number to different calls: the first such number of each.
  void add_mismatches() {
    for (auto const& [group, members] : groups_) {
      std::map<std::uint64_t, std::vector<std::pair<PostedCall, Member>>> by_number;
      for (auto const& member : members) {
        for (auto const& call : member.channel->calls) by_number[call.number].push_back({call, member});
      }
      for (auto const& [number, calls] : by_number) {
        bool const same = std::ranges::all_of(
            calls, [&](auto const& one) { return one.first.call == calls.front().first.call; });
        if (same) continue;
        add_mismatch(calls);
        break;
      }
    }
  }

  void add_mismatch(std::vector<std::pair<PostedCall, Member>> const& calls) {
    std::vector<bool> told(calls.size());
    lines_.push_back(fmt::format("the ranks of a {} group do not make the same call:",
                                 calls.front().second.channel->name));
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (told[i]) continue;
      std::vector<int> ranks;
      for (std::size_t j = i; j < calls.size(); ++j) {
        if (calls[j].first.call != calls[i].first.call) continue;
        told[j] = true;
        ranks.push_back(calls[j].second.process->rank);
      }
      bool const alone = ranks.size() == 1;
      auto const& member = calls[i].second;
      lines_.push_back(fmt::format("  {}: {}",
                                   alone ? name_of(*member.process) : comm::ranks_text(std::move(ranks)),
                                   call_text(calls[i].first, member.channel->name, member.channel->size)));
    }
  }

  /// Processes that others wait for: those that do not wait themselves, or (a circle) those that wait too.
  void add_late(bool waiting) {
    for (auto const& process : processes_) {
      if (process.waiting.has_value() != waiting || named_.contains(process.rank)) continue;
      auto const what = awaited(process);
      if (what.empty()) continue;
      auto const doing =
          process.left ? std::string("has left the job in good order")
          : waiting    ? "waits itself in " + text_of(*process.waiting, process)
                       : fmt::format("computes, or hangs outside of communication (state {})", process.state);
      blame(process, fmt::format("{} {}{}; {}", name_of(process), doing, what, last_text(process)));
    }
  }

  void add_waits() {
    std::map<std::string, std::vector<int>> waits;  // by what they wait in, groups alike taken together
    for (auto const& process : processes_) {
      if (!process.waiting) continue;
      waits[text_of(*process.waiting, process)].push_back(process.rank);
    }
    for (auto const& [what, ranks] : waits) {
      lines_.push_back(
          fmt::format("{} wait{} in {}", comm::ranks_text(ranks), ranks.size() == 1 ? "s" : "", what));
    }
  }

  std::vector<ProcessView> const& processes_;
  Groups groups_;
  std::set<int> named_;
  std::vector<std::string> lines_;
};

}  // namespace

ProcessView view_of(comm::ProcessRecord const& record, char state) {
  using Phase = comm::ProcessRecord::Phase;
  ProcessView view;
  view.rank = record.rank;
  view.host = record.host.data();
  view.process = record.process;
  view.state = state;
  view.left = record.phase == Phase::left;
  PostedCall call;
  auto const wait = record.waits.load();
  view.overdue = wait % 2 != 0 && record.overdue == wait;
  if (wait % 2 != 0 && record.waiting.read(call)) view.waiting = call;
  if (record.last.read(call)) view.last = call;
  if (record.has_failed) view.failure = {record.failed.data(), record.failure.data()};
  for (std::uint32_t i = 0; i < record.channels_used; ++i) {
    auto const& channel = record.channels[i];
    view.channels.push_back({channel.name.data(), channel.group, channel.rank, channel.size,
                             channel.collectives, calls_of(channel.last_collectives),
                             calls_of(channel.last_messages)});
  }
  return view;
}

std::string hang_report(std::vector<ProcessView> const& processes) { return Report(processes).text(); }

}  // namespace tessera::train
