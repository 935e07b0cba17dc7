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
#include "train/watchdog/wait_clock.hpp"
#include "train/watchdog/wait_graph.hpp"

namespace tessera::train {

namespace {

using comm::PostedCall;

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

std::string last_text(ProcessView const& process) {
  return process.last ? "its last call: " + text_of(*process.last, process) : "it has made no call yet";
}

/// Collects the lines of a report.
class Report {
 public:
  explicit Report(std::vector<ProcessView> const& processes) : processes_(processes), graph_(processes) {}

  std::string text() {
    add_failures();
    bool const failed = !lines_.empty();
    add_absent();
    add_mismatches();
    if (!failed) add_late();
    if (lines_.empty()) add_odd();
    if (lines_.empty()) add_circle();
    if (lines_.empty()) {
      lines_.push_back(
          "every rank has made the calls that others wait for: the network, or the "
          "communication library, or a device, does not finish them");
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
      if (waiter.waiting && graph_.waits_for(waiter, process))
        return "; it has not entered " + owed(waiter, process);
    }
    return "";
  }

  /// The call that `late` owes `waiter`. Of a message it is the other end of the one that `waiter` waits in.
  std::string owed(ProcessView const& waiter, ProcessView const& late) const {
    auto const call = *graph_.owed(waiter, late);
    auto const operation = call.call.operation;
    auto const text = text_of(call, waiter);
    if (comm::is_message(operation)) {
      return fmt::format("the {} that rank {} waits for in {}",
                         operation == comm::Operation::receive ? "send" : "receive", waiter.rank, text);
    }
    return fmt::format("{}, in which {}", text, ranks_wait(graph_.waiters_with(waiter, call)));
  }

  /// "ranks 0, 2 wait".
  static std::string ranks_wait(std::vector<int> const& ranks) {
    return comm::ranks_text(ranks) + (ranks.size() == 1 ? " waits" : " wait");
  }

  /// Groups whose ranks gave the same number to different calls: the first such number of each.
  void add_mismatches() {
    for (auto const& [group, members] : graph_.groups()) {
      std::map<std::uint64_t, std::vector<std::pair<PostedCall, GroupMember>>> by_number;
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

  void add_mismatch(std::vector<std::pair<PostedCall, GroupMember>> const& calls) {
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

  /// Processes that others wait for and that do not wait themselves.
  void add_late() {
    for (auto const& process : processes_) {
      if (process.waiting || named_.contains(process.rank)) continue;
      auto const what = awaited(process);
      if (what.empty()) continue;
      auto const doing =
          process.left ? std::string("has left the job in good order")
                       : fmt::format("computes, or hangs outside of communication (state {})", process.state);
      blame(process, fmt::format("{} {}{}; {}", name_of(process), doing, what, last_text(process)));
    }
  }

  /// Ranks that wait in the same call of a group, or of groups alike, by what they do so in.
  using Waits = std::map<std::string, std::vector<ProcessView const*>>;
  Waits waits() const {
    Waits waits;
    for (auto const& process : processes_) {
      if (process.waiting) waits[wait_text(process)].push_back(&process);
    }
    return waits;
  }

  /// A circle in which most ranks wait in one call: those elsewhere that they wait for, and that wait for
  /// them, have made another call.
  void add_odd() {
    auto const all = waits();
    auto const size = [](auto const& wait) { return wait.second.size(); };
    auto const most = std::ranges::max_element(all, {}, size);
    if (most == all.end()) return;
    for (auto const& [what, ranks] : all) {
      if (ranks.size() >= size(*most)) continue;
      for (auto const* odd : ranks) {
        auto const by_odd = [&](auto const* other) { return graph_.waits_for(*odd, *other); };
        auto const waiter = std::ranges::find_if(
            most->second, [&](auto const* other) { return graph_.waits_for(*other, *odd); });
        if (waiter == most->second.end() || std::ranges::none_of(most->second, by_odd)) continue;
        told_.insert(what);
        blame(*odd,
              fmt::format("{} made another call than the others: it waits {}, which {} not entered; "
                          "it has not entered {}",
                          name_of(*odd), what, ranks_have(graph_.awaited_by(*odd)), owed(**waiter, *odd)));
      }
    }
  }

  /// "ranks 0, 2 have".
  static std::string ranks_have(std::vector<int> const& ranks) {
    return comm::ranks_text(ranks) + (ranks.size() == 1 ? " has" : " have");
  }

  /// A circle without ranks that are odd: what those that wait in one call have not entered.
  void add_circle() {
    for (auto const& [what, ranks] : waits()) {
      auto const late = std::ranges::find_if(ranks, [&](auto const* one) { return !awaited(*one).empty(); });
      if (late == ranks.end()) continue;
      std::vector<int> alike;
      for (auto const* one : ranks) {
        if (awaited(*one) == awaited(**late)) alike.push_back(one->rank);
      }
      if (alike.size() == ranks.size()) told_.insert(what);
      auto const who = alike.size() == 1 ? name_of(**late) + " waits" : ranks_wait(alike);
      lines_.push_back(fmt::format("{} {}{}", who, what, awaited(**late)));
    }
  }

  void add_waits() {
    for (auto const& [what, processes] : waits()) {
      if (told_.contains(what)) continue;
      std::vector<int> ranks;
      for (auto const* process : processes) ranks.push_back(process->rank);
      lines_.push_back(fmt::format("{} {}", ranks_wait(ranks), what));
    }
  }

  std::vector<ProcessView> const& processes_;
  WaitGraph graph_;
  std::set<int> named_;
  std::set<std::string> told_;  ///< waits
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
  if (wait % 2 != 0 && record.late == wait) view.time_outs = record.time_outs;
  view.overdue = view.time_outs >= allowed_time_outs(record);
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

int time_outs_of_hang(std::vector<ProcessView> const& processes) {
  auto const lost = [](ProcessView const& one) {
    return one.overdue || (!one.left && is_stopped(one.state));
  };
  if (std::ranges::none_of(processes, lost)) return 0;
  return std::ranges::max(processes, {}, &ProcessView::time_outs).time_outs;
}

std::string hang_report(std::vector<ProcessView> const& processes) { return Report(processes).text(); }

}  // namespace tessera::train
