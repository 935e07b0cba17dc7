// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// How a thread of the host and the queues of a device wait for each other. For implementers of communicators.
#pragma once

#include <cstddef>
#include <memory>

#include "tessera/base/dtype.hpp"
#include "tessera/base/stream_ref.hpp"

namespace tessera::comm {

/// What a queue stands at until a thread of the host lets it go on.
class Gate {
 public:
  virtual ~Gate() = default;
  Gate() = default;
  Gate(Gate const&) = delete;
  Gate& operator=(Gate const&) = delete;

  /// By the host, while no queue is held by it.
  virtual void close() noexcept = 0;
  /// Lets work that `stream`, which has a queue, is given from now on wait until the gate is open. Keeps no
  /// other queue from going on, so that gates may be opened in any order. Throws DeviceError.
  virtual void hold(StreamRef stream) = 0;
  /// By any thread: lets the queue go on, one that comes later as well.
  virtual void open() noexcept = 0;
  /// Whether the queue that was held has gone on, and does not touch the gate any more.
  [[nodiscard]] virtual bool passed() const noexcept = 0;
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
  /// Lets work that `stream`, which has a queue, is given from now on come after it. Throws DeviceError.
  virtual void order(StreamRef stream) = 0;
};

/// A queue of a communicator's own, for the arithmetic between its messages: work goes on in it, in order,
/// after the calls have returned. All throw DeviceError.
class WorkQueue {
 public:
  virtual ~WorkQueue() = default;
  WorkQueue() = default;
  WorkQueue(WorkQueue const&) = delete;
  WorkQueue& operator=(WorkQueue const&) = delete;

  /// What operations of other queues are ordered with it by. Lives as long as this.
  [[nodiscard]] virtual StreamRef stream() const = 0;
  /// As those of device_ops.hpp.
  virtual void copy(void* to, void const* from, std::size_t bytes) = 0;
  virtual void add(void* to, void const* a, void const* b, std::size_t count, DType type) = 0;
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
  /// Whether `memory` is the device's, out of the host's reach.
  [[nodiscard]] virtual bool is_on_device(void const* memory) const = 0;
  [[nodiscard]] virtual std::unique_ptr<QueueMark> make_mark() = 0;
  [[nodiscard]] virtual std::unique_ptr<Gate> make_gate() = 0;
  /// Takes memory of the device.
  [[nodiscard]] virtual std::unique_ptr<WorkQueue> make_work_queue() = 0;
  /// Called once by a thread before it works with the device.
  virtual void enter() = 0;
};

/// What a device is told of its queues before it starts; called when a session is opened.
void prepare_device_queues() noexcept;

/// Of the device that Kokkos runs on; null where tensors lie in the host's memory, or where Tessera does not
/// know the vendor's queues (HIP so far).
[[nodiscard]] std::unique_ptr<DeviceQueues> make_device_queues();

}  // namespace tessera::comm
