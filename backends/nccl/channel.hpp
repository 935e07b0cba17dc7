// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "clique.hpp"
#include "handles.hpp"
#include "request.hpp"
#include "tessera/comm/progress.hpp"
#include "tessera/comm/state_pool.hpp"

namespace tessera::backends::nccl {

/// One NCCL communicator with a stream of its own and the operations that wait for it. The first message
/// between two ranks connects them, for which NCCL needs both: such an operation is with the library, in the
/// background, until the other rank has called too, and those after it wait here instead of in the caller.
/// Whatever needs no other rank is enqueued when the call returns, so that the kernels of several channels
/// start in the order of the calls, which is the same on all ranks, as NCCL asks ("Using multiple NCCL
/// communicators concurrently").
class Channel final : private comm::Progressive {
 public:
  /// Collective over `host`, whose ranks it connects.
  Channel(std::shared_ptr<DeviceContext> context, comm::Communicator& host, std::string_view name);
  ~Channel();
  Channel(Channel const&) = delete;
  Channel& operator=(Channel const&) = delete;

  /// Starts an operation once those before it were enqueued. Throws CommError on a channel that has failed,
  /// DeviceError where it cannot be ordered after `stream`.
  [[nodiscard]] comm::Request submit(Call const& call, StreamRef stream);
  /// What is submitted in between is issued as one. If an exception leaves the batch the channel has failed:
  /// the other ranks, and what was submitted, would wait for the call that was not made.
  void begin_batch() noexcept;
  void end_batch() noexcept;

  /// Moves everything on without waiting. A failure aborts the channel and is found in failure().
  void advance() noexcept;
  [[nodiscard]] bool has_failed() const noexcept { return !failure_.empty(); }
  [[nodiscard]] std::string const& failure() const noexcept { return failure_; }
  void fail(std::string const& reason) noexcept;

  [[nodiscard]] bool is_open(NcclState const& state) const noexcept {
    return open_batches_ > 0 && state.batch() == batch_;
  }
  /// Takes back a state; one that was not issued yet will not be.
  void give_back(NcclState& state) noexcept;

  [[nodiscard]] std::chrono::milliseconds limit() const noexcept { return context_->limits().waiting; }
  [[nodiscard]] int rank() const noexcept { return rank_; }
  [[nodiscard]] int size() const noexcept { return size_; }
  [[nodiscard]] std::string const& name() const noexcept { return clique_.name(); }
  /// One byte of device memory, for barriers.
  [[nodiscard]] void* word() const noexcept { return word_.get(); }

 private:
  void progress() noexcept override { advance(); }
  void open(comm::Communicator& host);
  void settle() noexcept;
  [[nodiscard]] bool launch_next();
  void issue(ncclComm_t comm);
  void mark_launched();
  void set_enlisted(bool enlisted) noexcept;

  std::shared_ptr<DeviceContext> context_;
  int rank_;
  int size_;
  UniqueStream stream_;
  UniqueMemory word_;
  Clique clique_;
  comm::StatePool<NcclState> pool_;
  std::vector<NcclState*> waiting_;    // not issued yet, in order
  std::vector<NcclState*> launching_;  // issued; the library has not enqueued them yet
  std::uint64_t batch_ = 0;            // of the next operation
  int open_batches_ = 0;
  int exceptions_before_batch_ = 0;
  bool enlisted_ = false;
  std::string failure_;
};

}  // namespace tessera::backends::nccl
