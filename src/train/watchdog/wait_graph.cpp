// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "train/watchdog/wait_graph.hpp"

#include <algorithm>

#include "tessera/comm/call_text.hpp"

namespace tessera::train {

using comm::PostedCall;

namespace {

ProcessView::Channel const& channel_of(PostedCall const& call, ProcessView const& process) {
  static ProcessView::Channel const unknown;
  return call.channel < process.channels.size() ? process.channels[call.channel] : unknown;
}

}  // namespace

std::string text_of(PostedCall const& call, ProcessView const& process) {
  if (call.channel >= process.channels.size()) return "a call on a communicator that is not known";
  auto const& channel = process.channels[call.channel];
  return comm::call_text(call, channel.name, channel.size);
}

bool waits_for_device(ProcessView const& process) {
  return process.waiting->channel == PostedCall::the_device;
}

std::string wait_text(ProcessView const& process) {
  if (!waits_for_device(process)) return "in " + text_of(*process.waiting, process);
  return "for the device" + (process.last ? " after " + text_of(*process.last, process) : "");
}

WaitGraph::WaitGraph(std::vector<ProcessView> const& processes) : processes_(processes) {
  for (auto const& process : processes) {
    for (auto const& channel : process.channels) groups_[channel.group].push_back({&process, &channel});
  }
}

std::vector<int> WaitGraph::waiters_with(ProcessView const& one, PostedCall const& call) const {
  auto const group = groups_.find(channel_of(call, one).group);
  if (comm::is_message(call.call.operation) || group == groups_.end()) return {one.rank};
  std::vector<int> ranks;
  for (auto const& [process, channel] : group->second) {
    auto const& other = process->waiting;
    if (!other) continue;
    bool const in_call = waits_for_device(*process)
                             ? channel->collectives >= call.number
                             : channel_of(*other, *process).group == group->first &&
                                   other->number == call.number && !comm::is_message(other->call.operation);
    if (in_call) ranks.push_back(process->rank);
  }
  return ranks;
}

std::vector<int> WaitGraph::awaited_by(ProcessView const& waiter) const {
  std::vector<int> ranks;
  for (auto const& process : processes_) {
    if (waits_for(waiter, process)) ranks.push_back(process.rank);
  }
  return ranks;
}

std::optional<PostedCall> WaitGraph::owed(ProcessView const& waiter, ProcessView const& other) const {
  if (!waits_for_device(waiter)) return lacks(other, *waiter.waiting, waiter) ? waiter.waiting : std::nullopt;
  std::optional<PostedCall> oldest;
  for (auto const& channel : waiter.channels) {
    for (auto const* const calls : {&channel.calls, &channel.messages}) {
      for (auto const& call : *calls) {
        if ((!oldest || call.number < oldest->number) && lacks(other, call, waiter)) oldest = call;
      }
      if (oldest) return oldest;
    }
  }
  return std::nullopt;
}

bool WaitGraph::lacks(ProcessView const& other, PostedCall const& call, ProcessView const& waiter) const {
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

}  // namespace tessera::train
