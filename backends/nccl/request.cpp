// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "request.hpp"

#include <fmt/format.h>

#include "channel.hpp"
#include "stream.hpp"
#include "tessera/base/error.hpp"
#include "tessera/comm/progress.hpp"

namespace tessera::backends::nccl {

void NcclState::begin(Call const& call, StreamRef stream, std::uint64_t batch) {
  call_ = call;
  batch_ = batch;
  ordered_ = false;
  marked_ = false;
  left_ = false;
  asked_.reset();
  finished_ = true;  // nothing to wait for, should this fail
  if (auto const queue = queue_of(stream)) {
    check_device(cudaEventRecord(ready_.get(), *queue), "cudaEventRecord");
    ordered_ = true;
  }
  finished_ = false;
}

void NcclState::order_after_stream(cudaStream_t channel_stream) const {
  if (ordered_) check_device(cudaStreamWaitEvent(channel_stream, ready_.get(), 0), "cudaStreamWaitEvent");
}

void NcclState::mark_end(cudaStream_t channel_stream) {
  check_device(cudaEventRecord(done_.get(), channel_stream), "cudaEventRecord");
  marked_ = true;
}

bool NcclState::passed() const {
  if (!marked_) return false;
  cudaError_t const state = cudaEventQuery(done_.get());
  if (state == cudaErrorNotReady) return false;
  check_device(state, "cudaEventQuery");
  return true;
}

void NcclState::fail_if_channel_failed() const {
  if (!channel_.has_failed()) return;
  throw CommError(fmt::format("{} of {} x {} on rank {} of {} ({}) failed: {}", call_.operation, call_.count,
                              to_string(call_.type), channel_.rank(), channel_.size(), library_name,
                              channel_.failure()));
}

/// An aborted operation lets the stream pass too, so the event is asked before the failure.
bool NcclState::test() {
  if (finished_) return true;
  bool ended = false;
  try {
    ended = passed();
  } catch (DeviceError const& error) {
    channel_.fail(error.what());
  }
  channel_.advance();
  fail_if_channel_failed();
  if (channel_.is_open(*this)) {
    throw CommError(fmt::format("{} on rank {} of {} ({}) is waited for inside the group that it belongs to",
                                call_.operation, channel_.rank(), channel_.size(), library_name));
  }
  if (!ended) fail_if_late();
  finished_ = ended;
  return ended;
}

/// The time counts from the first question, by whoever waits for it or moves on what it is a stage of.
void NcclState::fail_if_late() {
  auto const now = std::chrono::steady_clock::now();
  if (!asked_) asked_ = now;
  if (now <= *asked_ + channel_.limit()) return;
  channel_.fail(fmt::format("it has not ended within {} s: another rank is missing, or has failed",
                            std::chrono::duration<double>(channel_.limit()).count()));
  fail_if_channel_failed();
}

void NcclState::wait_host() {
  comm::wait_until([this] { return test(); });
}

bool NcclState::order(StreamRef stream) {
  auto const queue = queue_of(stream);
  if (!queue) return test();
  if (!test() && !marked_) return false;
  check_device(cudaStreamWaitEvent(*queue, done_.get(), 0), "cudaStreamWaitEvent");
  left_ = true;
  return true;
}

void NcclState::wait(StreamRef stream) {
  comm::wait_until([&] { return order(stream); });
}

/// On a channel that has failed, what the device still does to the buffers ends soon: it was aborted.
void NcclState::release() noexcept {
  try {
    if (!left_ && !channel_.is_open(*this)) wait_host();
  } catch (std::exception const&) {
    auto const deadline = std::chrono::steady_clock::now() + channel_.limit();
    comm::wait_until([&] {
      return !marked_ || cudaEventQuery(done_.get()) != cudaErrorNotReady ||
             std::chrono::steady_clock::now() > deadline;
    });
  }
  channel_.give_back(*this);
}

}  // namespace tessera::backends::nccl
