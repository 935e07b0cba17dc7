// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The queues of the double for comm/device_queue.hpp, in place of those of Kokkos' device.
#pragma once

#include <functional>

#include "nccl/stream_of_test.hpp"
#include "tessera/comm/device_ops.hpp"
#include "tessera/comm/device_queue.hpp"

namespace tessera::backends::nccl {
std::optional<cudaStream_t> queue_of(StreamRef stream);
}

namespace tessera::support {

/// Queues do not come to gates any more, and then marks tell so.
inline std::atomic<bool> queues_stand{false}, device_has_failed{false};

inline void check(cudaError_t error, std::string const& function) {
  if (error != cudaSuccess) throw DeviceError(function + " failed: " + cudaGetErrorString(error));
}

class DoubleMark final : public comm::QueueMark {
 public:
  DoubleMark() {
    check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  }
  ~DoubleMark() override { cudaEventDestroy(event_); }
  void set(StreamRef stream) override {
    check(cudaEventRecord(event_, *backends::nccl::queue_of(stream)), "cudaEventRecord");
  }
  bool reached() override {
    if (device_has_failed) throw DeviceError("the device has failed");
    auto const state = cudaEventQuery(event_);
    if (state == cudaErrorNotReady) return false;
    check(state, "cudaEventQuery");
    return true;
  }
  void order(StreamRef stream) override {
    check(cudaStreamWaitEvent(*backends::nccl::queue_of(stream), event_, 0), "cudaStreamWaitEvent");
  }

 private:
  cudaEvent_t event_ = nullptr;
};

/// The queues of the double call functions of the host each on a thread of its own. `held`: how many of a
/// rank's queues stand at gates.
class DoubleGate final : public comm::Gate {
 public:
  explicit DoubleGate(std::atomic<int>& held) : held_(held) {}
  void close() noexcept override { state_.store(State::closed, std::memory_order_relaxed); }
  void hold(StreamRef stream) override {
    if (queues_stand) return;
    ++held_;
    cudaLaunchHostFunc(
        *backends::nccl::queue_of(stream), [](void* gate) { static_cast<DoubleGate*>(gate)->pass(); }, this);
  }
  void open() noexcept override {
    state_.store(State::open, std::memory_order_release);
    state_.notify_all();
  }
  bool passed() const noexcept override { return state_.load(std::memory_order_acquire) == State::passed; }

 private:
  enum class State : int { closed, open, passed };
  void pass() noexcept {
    state_.wait(State::closed, std::memory_order_acquire);
    --held_;
    state_.store(State::passed, std::memory_order_release);
  }

  std::atomic<int>& held_;
  std::atomic<State> state_{State::closed};
};

/// Additions that a queue makes when it comes to them.
class DoubleWork final : public comm::WorkQueue {
 public:
  DoubleWork() {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    cuda::give_stream(exec_, stream_);
  }
  ~DoubleWork() override {
    cuda::give_stream(exec_, nullptr);
    cudaStreamDestroy(stream_);
  }
  [[nodiscard]] StreamRef stream() const override { return StreamRef(exec_); }
  void copy(void* to, void const* from, std::size_t bytes) override {
    push([=] { comm::copy_bytes(to, from, bytes, {}); });
  }
  void add(void* to, void const* a, void const* b, std::size_t count, DType type) override {
    push([=] { comm::add(to, a, b, count, type, {}); });
  }

 private:
  void push(std::function<void()> work) {
    auto owned = std::make_unique<std::function<void()>>(std::move(work));
    auto const run = [](void* data) {
      std::unique_ptr<std::function<void()>> const given(static_cast<std::function<void()>*>(data));
      (*given)();
    };
    check(cudaLaunchHostFunc(stream_, run, owned.get()), "cudaLaunchHostFunc");
    static_cast<void>(owned.release());
  }

  ExecutionSpace exec_;
  cudaStream_t stream_ = nullptr;
};

class DoubleQueues final : public comm::DeviceQueues {
 public:
  [[nodiscard]] bool has_queue(StreamRef stream) const override {
    return backends::nccl::queue_of(stream).has_value();
  }
  [[nodiscard]] bool is_on_device(void const* memory) const override {
    cudaPointerAttributes attributes{};
    check(cudaPointerGetAttributes(&attributes, memory), "cudaPointerGetAttributes");
    return attributes.type == cudaMemoryTypeDevice;
  }
  [[nodiscard]] std::unique_ptr<comm::QueueMark> make_mark() override {
    return std::make_unique<DoubleMark>();
  }
  [[nodiscard]] std::unique_ptr<comm::Gate> make_gate() override {
    return std::make_unique<DoubleGate>(held_);
  }
  [[nodiscard]] std::unique_ptr<comm::WorkQueue> make_work_queue() override {
    return std::make_unique<DoubleWork>();
  }
  void enter() override { held_of_thread = &held_; }

  /// Of the rank whose communication the calling thread does.
  static inline thread_local std::atomic<int>* held_of_thread = nullptr;

 private:
  std::atomic<int> held_{0};
};

/// Trees of queues: their scratch is Kokkos', which the double takes for the device's here.
class OnQueues : public OnNccl {
 protected:
  void SetUp() override {
    OnNccl::SetUp();
    cuda::set_all_memory_on_device(true);
    device_has_failed = false;
  }
};

}  // namespace tessera::support
