// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// How a thread of the host and the queues of a device wait for each other. For implementers of communicators.
#pragma once

#include <atomic>
#include <memory>

#include "tessera/base/stream_ref.hpp"

namespace tessera::comm {

/// What a queue stands at until a thread of the host lets it go on.
class Gate {
 public:
  /// By the host, while no queue is held by it.
  void close() noexcept { state_.store(State::closed, std::memory_order_relaxed); }
  /// By the host: lets the queue go on, one that comes later as well.
  void open() noexcept {
    state_.store(State::open, std::memory_order_release);
    state_.notify_all();
  }
  /// By the queue. The gate is not touched by it any more.
  void pass() noexcept {
    state_.wait(State::closed, std::memory_order_acquire);
    state_.store(State::passed, std::memory_order_release);
  }
  [[nodiscard]] bool passed() const noexcept {
    return state_.load(std::memory_order_acquire) == State::passed;
  }

 private:
  enum class State : int { closed, open, passed };
  std::atomic<State> state_{State::closed};
};

/// A place in a queue, set again and again.
class QueueMark {
 public:
  virtual ~QueueMark() = default;
  QueueMark() = default;
  QueueMark(QueueMark const&) = delete;
  QueueMark& operator=(QueueMark const&) = delete;

  /// Behind all work given to `stream`, which has a queue, so far. Throws DeviceError.
  virtual void set(StreamRef stream) = 0;
  /// By any thread: whether the queue has come there. Throws DeviceError where the device has failed.
  [[nodiscard]] virtual bool reached() = 0;
};

/// The queues of this process's device.
class DeviceQueues {
 public:
  virtual ~DeviceQueues() = default;
  DeviceQueues() = default;
  DeviceQueues(DeviceQueues const&) = delete;
  DeviceQueues& operator=(DeviceQueues const&) = delete;

  /// Whether a queue is behind `stream`: else work has ended when the call that started it returns.
  [[nodiscard]] virtual bool has_queue(StreamRef stream) const = 0;
  [[nodiscard]] virtual std::unique_ptr<QueueMark> make_mark() = 0;
  /// Lets work that `stream` is given from now on wait until `gate` is open. Throws DeviceError. Gates of
  /// several queues may have to be passed one after another (CUDA calls functions of the host on one thread),
  /// so a process has one queue at a time whose gates depend on other ranks.
  virtual void hold(StreamRef stream, Gate& gate) = 0;
  /// Called once by a thread before it works with the device.
  virtual void enter() = 0;
};

/// Of the device that Kokkos runs on; null where tensors lie in the host's memory, or where Tessera does not
/// know the vendor's queues (HIP so far).
[[nodiscard]] std::unique_ptr<DeviceQueues> make_device_queues();

}  // namespace tessera::comm
