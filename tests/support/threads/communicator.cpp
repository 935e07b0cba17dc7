// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "support/threads/communicator.hpp"

#include <algorithm>
#include <thread>
#include <vector>

#include "support/threads/exchange.hpp"
#include "tessera/comm/progress.hpp"
#include "tessera/comm/state_pool.hpp"

namespace tessera::support {

namespace {

/// All groups of one world, so that a failure reaches them all.
struct Family {
  std::mutex mutex;
  std::vector<std::weak_ptr<Exchange>> groups;
  std::string failure;

  std::shared_ptr<Exchange> group(int ranks) {
    std::lock_guard const lock(mutex);
    auto made = std::make_shared<Exchange>(ranks);
    if (!failure.empty()) made->give_up(failure);
    groups.push_back(made);
    return made;
  }
  void give_up(std::string const& reason) {
    std::lock_guard const lock(mutex);
    failure = reason;
    for (auto const& group : groups) {
      if (auto const alive = group.lock()) alive->give_up(reason);
    }
  }
};

class ThreadState final : public comm::RequestState {
 public:
  explicit ThreadState(comm::StatePool<ThreadState>& pool) : pool_(pool) {}

  comm::Request start(std::shared_ptr<Exchange> exchange, Exchange::Ticket ticket) {
    exchange_ = std::move(exchange);
    ticket_ = std::move(ticket);
    return comm::Request(this);
  }
  bool test() override { return exchange_->done(ticket_); }
  void wait_host() override {
    comm::wait_until([this] { return test(); });
  }
  void wait(StreamRef) override { wait_host(); }
  void release() noexcept override {
    try {
      wait_host();
    } catch (...) {
    }
    ticket_ = nullptr;
    pool_.give_back(*this);
  }

 private:
  comm::StatePool<ThreadState>& pool_;
  std::shared_ptr<Exchange> exchange_;
  Exchange::Ticket ticket_;
};

class ThreadCommunicator final : public comm::Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<Family> family, std::shared_ptr<Exchange> exchange, int rank, int node)
      : family_(std::move(family)), exchange_(std::move(exchange)), rank_(rank), node_(node) {}

  [[nodiscard]] int rank() const noexcept override { return rank_; }
  [[nodiscard]] int size() const noexcept override { return exchange_->size(); }
  [[nodiscard]] std::string_view backend() const noexcept override { return "threads"; }

  comm::Request broadcast(void* buffer, std::size_t count, DType type, int root, StreamRef) override {
    return collective({Exchanged::broadcast, buffer, buffer, count, type, {}, root});
  }
  comm::Request all_reduce(void const* send, void* receive, std::size_t count, DType type, comm::Op op,
                           StreamRef) override {
    return collective({Exchanged::all_reduce, send, receive, count, type, op});
  }
  comm::Request all_gather(void const* send, void* receive, std::size_t count, DType type,
                           StreamRef) override {
    return collective({Exchanged::all_gather, send, receive, count, type});
  }
  comm::Request reduce_scatter(void const* send, void* receive, std::size_t count, DType type, comm::Op op,
                               StreamRef) override {
    return collective({Exchanged::reduce_scatter, send, receive, count, type, op});
  }
  comm::Request all_to_all(void const* send, void* receive, std::size_t count, DType type,
                           StreamRef) override {
    return collective({Exchanged::all_to_all, send, receive, count, type});
  }
  comm::Request send(void const* buffer, std::size_t count, DType type, int peer, StreamRef) override {
    if (count == 0) return {};
    return under_way(exchange_->send(rank_, peer, buffer, count * size_bytes(type)));
  }
  comm::Request receive(void* buffer, std::size_t count, DType type, int peer, StreamRef) override {
    if (count == 0) return {};
    return under_way(exchange_->receive(peer, rank_, buffer, count * size_bytes(type)));
  }
  comm::Request barrier(StreamRef) override { return collective({Exchanged::barrier, nullptr, nullptr, 0}); }
  void group_begin() override {}
  void group_end() override {}

  [[nodiscard]] std::unique_ptr<comm::Communicator> split(std::optional<int> color, int key) override;
  [[nodiscard]] std::unique_ptr<comm::Communicator> duplicate() override { return split(0, rank_); }
  [[nodiscard]] std::unique_ptr<comm::Communicator> split_by_node() override { return split(node_, rank_); }
  void progress() override { comm::progress_all(); }
  [[noreturn]] void abort(int exit_code) override {
    family_->give_up("the job was aborted");
    throw Aborted(exit_code);
  }

 private:
  comm::Request collective(Part const& part) { return under_way(exchange_->collective(rank_, part)); }
  comm::Request under_way(Exchange::Ticket ticket) {
    return pool_.take(pool_).start(exchange_, std::move(ticket));
  }

  std::shared_ptr<Family> family_;
  std::shared_ptr<Exchange> exchange_;
  int rank_;
  int node_;
  comm::StatePool<ThreadState> pool_;
};

/// What a rank tells the others in a split. The exchange of the first of each color becomes that of all.
struct Choice {
  bool member;
  int color;
  int key;
  int rank;
  std::shared_ptr<Exchange>* exchange;
};

std::unique_ptr<comm::Communicator> ThreadCommunicator::split(std::optional<int> color, int key) {
  std::shared_ptr<Exchange> made;
  Choice const own{color.has_value(), color.value_or(0), key, rank_, &made};
  std::vector<Choice> group(static_cast<std::size_t>(size()));
  all_gather(&own, group.data(), sizeof(Choice), DType::u8, {}).wait_host();
  std::erase_if(group, [&](Choice const& other) { return !other.member || other.color != own.color; });
  std::sort(group.begin(), group.end(), [](Choice const& a, Choice const& b) {
    return std::pair(a.key, a.rank) < std::pair(b.key, b.rank);
  });
  bool const leads = color && group.front().rank == rank_;
  if (leads) made = family_->group(static_cast<int>(group.size()));
  barrier({}).wait_host();
  auto const chosen = color ? *group.front().exchange : nullptr;
  barrier({}).wait_host();
  if (!color) return nullptr;
  auto const place = std::find_if(group.begin(), group.end(), [&](auto const& c) { return c.rank == rank_; });
  return std::make_unique<ThreadCommunicator>(family_, chosen, static_cast<int>(place - group.begin()),
                                              node_);
}

}  // namespace

std::vector<std::exception_ptr> run_ranks(int ranks, int ranks_per_node,
                                          std::function<void(comm::Communicator&)> const& body,
                                          std::function<void(int)> const& on_failure) {
  auto const family = std::make_shared<Family>();
  auto const exchange = family->group(ranks);
  std::vector<std::exception_ptr> thrown(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      ThreadCommunicator world(family, exchange, rank, ranks_per_node > 0 ? rank / ranks_per_node : 0);
      try {
        body(world);
      } catch (std::exception const& error) {
        thrown[static_cast<std::size_t>(rank)] = std::current_exception();
        family->give_up("rank " + std::to_string(rank) + " has left: " + error.what());
        if (on_failure) on_failure(rank);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  return thrown;
}

void run_ranks_well(int ranks, int ranks_per_node, std::function<void(comm::Communicator&)> const& body) {
  for (auto const& error : run_ranks(ranks, ranks_per_node, body)) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace tessera::support
