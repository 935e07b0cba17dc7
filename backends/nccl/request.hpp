// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>

#include "handles.hpp"
#include "tessera/base/dtype.hpp"
#include "tessera/comm/communicator.hpp"

namespace tessera::backends::nccl {

class Channel;

/// Where a call goes.
struct Target {
  ncclComm_t comm;
  cudaStream_t stream;
  int size;
};

/// One operation with its arguments, so that it can be issued later.
struct Call {
  std::string_view operation;
  /// Makes the library's calls; throws CommError if one fails.
  void (*issue)(Call const& call, Target const& target);
  void const* send = nullptr;
  void* receive = nullptr;
  std::size_t count = 0;
  DType type = DType::u8;
  comm::Op op = comm::Op::sum;
  int peer = 0;  ///< of a message, or the root of a broadcast
};

/// An operation under way: it waits to be handed to the library, is with it, and then an event in the
/// channel's stream tells when it has ended.
class NcclState final : public comm::RequestState {
 public:
  explicit NcclState(Channel& channel) : channel_(channel), ready_(make_event()), done_(make_event()) {}

  /// Orders it after what `stream` has been given so far.
  void begin(Call const& call, StreamRef stream, std::uint64_t batch);
  [[nodiscard]] std::uint64_t batch() const noexcept { return batch_; }
  [[nodiscard]] Call const& call() const noexcept { return call_; }

  /// Lets the channel's stream wait for the work before the operation.
  void order_after_stream(cudaStream_t channel_stream) const;
  /// The library has enqueued it: marks its end in the channel's stream.
  void mark_end(cudaStream_t channel_stream);

  bool test() override;
  void wait_host() override;
  void wait(StreamRef stream) override;
  bool order(StreamRef stream) override;
  void release() noexcept override;

 private:
  [[nodiscard]] bool passed() const;
  void fail_if_channel_failed() const;
  void fail_if_late();

  Channel& channel_;
  UniqueEvent ready_;
  UniqueEvent done_;
  Call call_{};
  std::uint64_t batch_ = 0;
  bool ordered_ = false;                                        // after work of a stream
  bool marked_ = false;                                         // its end is an event of the stream
  bool finished_ = false;                                       // seen to have ended
  bool left_ = false;                                           // a stream was ordered after it
  std::optional<std::chrono::steady_clock::time_point> asked_;  // for the first time, in vain
};

}  // namespace tessera::backends::nccl
