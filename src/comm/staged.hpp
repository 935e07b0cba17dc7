// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "tessera/base/kokkos.hpp"
#include "tessera/comm/device_queue.hpp"
#include "tessera/comm/progress.hpp"
#include "tessera/comm/request.hpp"

namespace tessera::comm {

/// Lets the staged operations of one communicator run one after another, in the order they were started:
/// their messages share channels in which order is all that tells them apart.
class Turnstile {
 public:
  [[nodiscard]] std::uint64_t take_ticket() noexcept { return next_++; }
  [[nodiscard]] bool admits(std::uint64_t ticket) const noexcept { return ticket == serving_; }
  void leave() noexcept { ++serving_; }

 private:
  std::uint64_t next_ = 0;
  std::uint64_t serving_ = 0;
};

/// Memory that grows to the largest ever asked for. Where queues work what was too small is kept: one may
/// still use it, and to free it would wait for all of them, one of which may wait for the operation that
/// asks.
template <class Space>
class GrowingMemory {
 public:
  explicit GrowingMemory(char const* label, bool queues_work = !tensors_on_host)
      : label_(label), keeps_outgrown_(queues_work) {}

  void* reserve(std::size_t bytes) {
    if (bytes <= memory_.size()) return memory_.data();
    if (keeps_outgrown_) outgrown_.push_back(memory_);
    memory_ = {};
    memory_ = Kokkos::View<std::byte*, Space>(Kokkos::view_alloc(Kokkos::WithoutInitializing, label_), bytes);
    return memory_.data();
  }
  [[nodiscard]] std::byte* data() const { return memory_.data(); }

 private:
  std::string label_;
  bool keeps_outgrown_;
  Kokkos::View<std::byte*, Space> memory_;
  std::vector<Kokkos::View<std::byte*, Space>> outgrown_;
};

/// For partial results of one operation at a time, of the kind of memory that it works on.
class Scratch {
 public:
  explicit Scratch(bool queues_work)
      : device_("tessera::comm::scratch", queues_work), host_("tessera::comm::host_scratch", false) {}

  void* reserve(std::size_t bytes, bool on_device) {
    return on_device ? device_.reserve(bytes) : host_.reserve(bytes);
  }

 private:
  GrowingMemory<MemorySpace> device_;
  GrowingMemory<Kokkos::HostSpace> host_;
};

/// An operation made of stages; a stage is a set of operations under way together. A state machine that test,
/// wait, Communicator::progress and every other wait of the thread move on.
///
/// The stages follow each other by the host, which waits for the end of each, or in a queue of a device: the
/// host starts each as soon as the queue is ordered after the one before, and has done its part with the
/// last.
class StagedState : public RequestState, private Progressive {
 public:
  explicit StagedState(Turnstile& turns) : turns_(turns) {}

  bool test() final;
  void wait_host() final;
  void wait(StreamRef stream) final;
  bool order(StreamRef stream) final;
  void release() noexcept final;

 protected:
  ~StagedState() = default;

  /// Called once its parameters are set: takes a place in the line and starts if it is the first.
  void begin();
  /// The same with stages that follow each other in `work`, a queue of `queues`, after what `stream` has been
  /// given so far, if it has a queue. Throws DeviceError, and then has not begun.
  void begin_in(WorkQueue& work, DeviceQueues& queues, StreamRef stream);
  /// Where the stages follow each other; null: by the host.
  [[nodiscard]] WorkQueue* work() const noexcept { return work_; }
  /// Adds an operation to the stage being started.
  void add_to_stage(Request request) { stage_.push_back(std::move(request)); }

 private:
  /// The stage before has ended, or work() is ordered after it: does its arithmetic and starts the next.
  /// False when there is none.
  virtual bool start_stage() = 0;
  /// Gives the state back to its pool.
  virtual void recycle() noexcept = 0;

  void progress() noexcept final;
  [[nodiscard]] bool advance();
  void mark_end();
  void finish() noexcept;
  [[nodiscard]] bool started() noexcept;
  [[nodiscard]] bool queue_has_ended();
  void wait_for_queue() noexcept;

  Turnstile& turns_;
  std::vector<Request> stage_;
  std::size_t past_in_stage_ = 0;
  std::uint64_t ticket_ = 0;
  bool ended_ = true;  // for the host: in a queue it may go on
  std::exception_ptr error_;
  // In a queue:
  WorkQueue* work_ = nullptr;
  DeviceQueues* queues_ = nullptr;
  std::unique_ptr<QueueMark> before_, after_;
  std::vector<Request> last_stage_;  // tells of failures
  bool follows_stream_ = false;      // before_ is still to be waited for
  bool left_ = false;                // a stream was ordered after it
};

}  // namespace tessera::comm
