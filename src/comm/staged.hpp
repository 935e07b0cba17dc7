// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "tessera/base/kokkos.hpp"
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

/// Memory that grows to the largest ever asked for. On a device what was too small is kept: to free it would
/// wait for all queues, one of which may wait for the operation that asks.
template <class Space>
class GrowingMemory {
 public:
  explicit GrowingMemory(char const* label) : label_(label) {}

  void* reserve(std::size_t bytes) {
    if (bytes <= memory_.size()) return memory_.data();
    if constexpr (!tensors_on_host) outgrown_.push_back(memory_);
    memory_ = {};
    memory_ = Kokkos::View<std::byte*, Space>(Kokkos::view_alloc(Kokkos::WithoutInitializing, label_), bytes);
    return memory_.data();
  }
  [[nodiscard]] std::byte* data() const { return memory_.data(); }

 private:
  std::string label_;
  Kokkos::View<std::byte*, Space> memory_;
  std::vector<Kokkos::View<std::byte*, Space>> outgrown_;
};

/// For partial results of one operation at a time.
struct Scratch : GrowingMemory<MemorySpace> {
  Scratch() : GrowingMemory("tessera::comm::scratch") {}
};

/// An operation made of stages; a stage is a set of operations under way together. A state machine that test,
/// wait, Communicator::progress and every other wait of the thread move on.
class StagedState : public RequestState, private Progressive {
 public:
  explicit StagedState(Turnstile& turns) : turns_(turns) {}

  bool test() final;
  void wait_host() final;
  void wait(StreamRef stream) final;
  void release() noexcept final;

 protected:
  ~StagedState() = default;

  /// Called once its parameters are set: takes a place in the queue and starts if it is the first.
  void begin();
  /// Adds an operation to the stage being started.
  void add_to_stage(Request request) { stage_.push_back(std::move(request)); }

 private:
  /// The stage before has ended: does its arithmetic and starts the next. False when there is none.
  virtual bool start_stage() = 0;
  /// Gives the state back to its pool.
  virtual void recycle() noexcept = 0;

  void progress() noexcept final;
  void advance();
  void finish() noexcept;

  Turnstile& turns_;
  std::vector<Request> stage_;
  std::size_t ended_in_stage_ = 0;
  std::uint64_t ticket_ = 0;
  bool ended_ = true;
  std::exception_ptr error_;
};

}  // namespace tessera::comm
