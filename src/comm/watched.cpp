// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/watched.hpp"

#include <string>
#include <vector>

#include "describing.hpp"
#include "tessera/comm/state_pool.hpp"

namespace tessera::comm {

namespace {

class WatchedState final : public RequestState {
 public:
  WatchedState(StatePool<WatchedState>& pool, ProcessRecord& record) : pool_(pool), record_(record) {}

  Request start(Request request, PostedCall const& call) {
    request_ = std::move(request);
    call_ = call;
    return Request(this);
  }

  bool test() override { return request_.test(); }
  void wait_host() override {
    PostedWait const posted(record_, call_);
    request_.wait_host();
  }
  void wait(StreamRef stream) override {
    PostedWait const posted(record_, call_);
    request_.wait(stream);
  }
  void release() noexcept override {
    {
      PostedWait const posted(record_, call_);
      request_ = Request();
    }
    pool_.give_back(*this);
  }

 private:
  StatePool<WatchedState>& pool_;
  ProcessRecord& record_;
  Request request_;
  PostedCall call_{};
};

class WatchedCommunicator final : public DescribingCommunicator<WatchedCommunicator> {
 public:
  WatchedCommunicator(std::unique_ptr<Communicator> watched, ProcessRecord& record, std::uint32_t channel)
      : DescribingCommunicator("watched", std::move(watched)),
        record_(record),
        index_(channel),
        channel_(record.channels[channel]),
        sent_(static_cast<std::size_t>(size())),
        received_(static_cast<std::size_t>(size())) {}

  template <class Start>
  Request around(Call const& call, Start const& start_inner) {
    auto const posted = post(call);
    // Some calls block already when they start (a check before it, a full queue).
    Request request = [&] {
      PostedWait const wait(record_, posted);
      return start_inner();
    }();
    return pool_.take(pool_, record_).start(std::move(request), posted);
  }
  std::unique_ptr<Communicator> decorate(std::unique_ptr<Communicator> part) {
    return make_watched(std::move(part), record_, channel_.name.data(), channel_.patience);
  }

 private:
  PostedCall post(Call const& call) noexcept {
    PostedCall posted{call, 0, index_, call_site().line(), {}};
    if (posted.line != 0) copy_text(posted.file, call_site().file_name());
    if (is_message(call.operation)) {
      auto& counts = call.operation == Operation::send ? sent_ : received_;
      posted.number = ++counts[static_cast<std::size_t>(call.peer)];
      keep(channel_.last_messages, channel_.messages, posted);
    } else {
      posted.number = channel_.collectives.load(std::memory_order_relaxed) + 1;
      keep(channel_.last_collectives, channel_.collectives, posted);
    }
    record_.last.write(posted);
    return posted;
  }

  template <std::size_t n>
  static void keep(std::array<PostedSlot, n>& slots, std::atomic<std::uint64_t>& count,
                   PostedCall const& call) noexcept {
    auto const number = count.load(std::memory_order_relaxed) + 1;
    slots[number % n].write(call);
    count.store(number, std::memory_order_release);
  }

  ProcessRecord& record_;
  std::uint32_t index_;
  ChannelRecord& channel_;
  std::vector<std::uint64_t> sent_, received_;  // (size): messages so far
  StatePool<WatchedState> pool_;
};

}  // namespace

std::unique_ptr<Communicator> make_watched(std::unique_ptr<Communicator> inner, ProcessRecord& record,
                                           std::string_view name, int patience) {
  if (inner->size() == 1) return inner;
  auto const index = record.channels_used.load(std::memory_order_relaxed);
  // The root's place for it is a number that no other group has.
  std::uint64_t group =
      (std::uint64_t{record.started} << 40) ^ (static_cast<std::uint64_t>(record.process) << 8) ^ index;
  inner->broadcast(&group, 1, DType::u64, 0, {}).wait_host();
  if (index == ProcessRecord::most_channels) return inner;
  auto& channel = record.channels[index];
  copy_text(channel.name, name);
  channel.group = group;
  channel.rank = inner->rank();
  channel.size = inner->size();
  channel.patience = patience;
  record.channels_used.store(index + 1, std::memory_order_release);
  return std::make_unique<WatchedCommunicator>(std::move(inner), record, index);
}

}  // namespace tessera::comm
