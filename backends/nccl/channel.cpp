// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "channel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <thread>

#include "agreement.hpp"
#include "tessera/base/error.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::backends::nccl {

namespace {

/// Collective over `host`. The id under which its ranks meet, made by rank 0.
ncclUniqueId shared_id(comm::Communicator& host) {
  ncclUniqueId id{};
  together(host, [&] {
    if (host.rank() == 0) check_library(ncclGetUniqueId(&id), "ncclGetUniqueId", nullptr);
  });
  std::array<std::uint8_t, sizeof(id.internal)> bytes{};
  std::copy(std::begin(id.internal), std::end(id.internal), bytes.begin());
  comm::broadcast(host, bytes, 0).wait_host();
  std::copy(bytes.begin(), bytes.end(), std::begin(id.internal));
  return id;
}

}  // namespace

Channel::Channel(std::shared_ptr<DeviceContext> context, comm::Communicator& host, std::string_view name)
    : context_(std::move(context)), rank_(host.rank()), size_(host.size()), clique_(context_, name) {
  open(host);
}

void Channel::open(comm::Communicator& host) {
  auto const id = shared_id(host);
  together(host, [&] {
    check_device(cudaSetDevice(context_->device().number), "cudaSetDevice");
    stream_ = make_stream();
    word_ = make_memory(1);
  });
  together(host, [&] { clique_.start(id, size_, rank_); });
  together(host, [&] { clique_.await_others(size_); });
}

/// What is left to a stream may still be under way.
Channel::~Channel() {
  set_enlisted(false);
  if (!has_failed() && std::uncaught_exceptions() == 0) {
    auto const deadline = std::chrono::steady_clock::now() + limit();
    comm::wait_until([&] {
      return cudaStreamQuery(stream_.get()) != cudaErrorNotReady ||
             std::chrono::steady_clock::now() > deadline;
    });
  }
}

comm::Request Channel::submit(Call const& call, StreamRef stream) {
  if (has_failed()) {
    throw CommError(fmt::format("{} on rank {} of {} ({}): the communicator has failed before: {}",
                                call.operation, rank_, size_, library_name, failure_));
  }
  NcclState& state = pool_.take(*this);
  comm::Request request(&state);
  state.begin(call, stream, batch_);
  waiting_.push_back(&state);
  if (open_batches_ == 0) {
    ++batch_;
    settle();
  }
  return request;
}

void Channel::begin_batch() noexcept {
  if (open_batches_++ == 0) exceptions_before_batch_ = std::uncaught_exceptions();
}

void Channel::end_batch() noexcept {
  if (--open_batches_ > 0) return;
  ++batch_;
  if (std::uncaught_exceptions() > exceptions_before_batch_) fail("a call in a group has failed");
  settle();
}

/// Not for long: other ranks may be needed.
void Channel::settle() noexcept {
  constexpr auto patience = std::chrono::milliseconds(10);
  advance();
  auto const deadline = std::chrono::steady_clock::now() + patience;
  while (enlisted_ && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
    advance();
  }
}

void Channel::advance() noexcept {
  if (has_failed()) return;
  try {
    while (clique_.settled()) {
      mark_launched();
      if (!launch_next()) return set_enlisted(false);
    }
    set_enlisted(true);
  } catch (std::exception const& error) {
    fail(error.what());
  }
}

void Channel::mark_launched() {
  for (auto* const state : launching_) state->mark_end(stream_.get());
  launching_.clear();
}

/// Issues the oldest batch, unless it is still being added to.
bool Channel::launch_next() {
  if (waiting_.empty() || is_open(*waiting_.front())) return false;
  auto const end = std::find_if(waiting_.begin(), waiting_.end(), [&](NcclState const* state) {
    return state->batch() != waiting_.front()->batch();
  });
  launching_.assign(waiting_.begin(), end);
  waiting_.erase(waiting_.begin(), end);
  for (auto const* const state : launching_) state->order_after_stream(stream_.get());
  clique_.use([&](ncclComm_t comm) { issue(comm); });
  return true;
}

void Channel::issue(ncclComm_t comm) {
  check_library(ncclGroupStart(), "ncclGroupStart", comm);
  try {
    for (auto const* const state : launching_)
      state->call().issue(state->call(), {comm, stream_.get(), size_});
  } catch (...) {
    static_cast<void>(ncclGroupEnd());  // the thread must not stay in the group
    throw;
  }
  check_library(ncclGroupEnd(), "ncclGroupEnd", comm);
}

void Channel::fail(std::string const& reason) noexcept {
  if (has_failed()) return;
  failure_ = reason;
  clique_.abort(reason);
  set_enlisted(false);
}

void Channel::give_back(NcclState& state) noexcept {
  std::erase(waiting_, &state);
  std::erase(launching_, &state);
  pool_.give_back(state);
}

void Channel::set_enlisted(bool enlisted) noexcept {
  if (enlisted == enlisted_) return;
  enlisted_ = enlisted;
  if (enlisted) {
    comm::enlist(*this);
  } else {
    comm::delist(*this);
  }
}

}  // namespace tessera::backends::nccl
