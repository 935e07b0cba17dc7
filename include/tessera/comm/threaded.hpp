// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Communicators whose calls are made by a thread of their own. The library below (an MPI) takes a call when
// the data are there, and tells when they have come; where a device computes, the thread waits for both, so
// that whoever gives the device its work never does.
//
//   main thread     kernel  all_reduce  wait(stream)  kernel  ...                  gives work and goes on
//   compute queue   kernel  mark        gate ............................ kernel   waits at the gate
//   this thread             until the mark is reached, MPI's all-reduce, opens the gate
//
// What is called, and in which order per communicator, is the same with and without the thread, so bits are.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tessera/comm/communicator.hpp"
#include "tessera/comm/device_queue.hpp"

namespace tessera::comm {

/// An operation given to the thread. Called by the thread alone.
class ThreadedOperation {
 public:
  /// The operations of one line start in the order in which they were given.
  [[nodiscard]] virtual void const* line() const noexcept = 0;
  /// Whether it takes memory, for which a device may wait for all its queues: it starts when none is held.
  [[nodiscard]] virtual bool takes_memory() const noexcept = 0;
  /// Whether a queue is held, or will be, until it has ended.
  [[nodiscard]] virtual bool holds_queue() const noexcept = 0;
  /// Whether the device has come to where it was started.
  [[nodiscard]] virtual bool ready() noexcept = 0;
  /// `own` is the thread's queue, null on hosts.
  virtual void begin(StreamRef own) noexcept = 0;
  /// Moves it on; true once it has ended, and then the thread does not touch it any more.
  [[nodiscard]] virtual bool advance() noexcept = 0;

 protected:
  ~ThreadedOperation() = default;
};

/// The thread. Shared by all communicators of a session, which it must outlive; so MPI is called by one
/// thread at a time (MPI_THREAD_SERIALIZED), though not by the one that initialised it.
class CommunicationThread {
 public:
  /// `queues` of the device, or null where work has ended when its call returns.
  explicit CommunicationThread(std::unique_ptr<DeviceQueues> queues);
  CommunicationThread(CommunicationThread const&) = delete;
  CommunicationThread& operator=(CommunicationThread const&) = delete;
  ~CommunicationThread();

  [[nodiscard]] DeviceQueues* queues() const noexcept { return queues_.get(); }
  [[nodiscard]] bool is_caller() const noexcept { return std::this_thread::get_id() == thread_.get_id(); }

  void submit(ThreadedOperation& operation);
  /// How many operations under way take memory: where there is one, no queue may be held.
  [[nodiscard]] std::atomic<int>& taking_memory() noexcept { return taking_memory_; }
  /// Runs `call` on the thread, between moves of operations, and returns when it has ended, throwing what it
  /// threw.
  void run(std::function<void()> const& call);

  /// By the thread: an operation has failed, and perhaps nobody on the host waits for it.
  void note_failure(std::string const& what) noexcept;
  /// Throws CommError if one has.
  void rethrow_failure();

 private:
  struct Job {
    std::function<void()> const* call;
    std::exception_ptr error;
    bool done = false;
  };

  void work();
  /// Takes what is new; false when the thread is to end. Blocks where there is nothing to do.
  bool collect();
  void run_jobs();
  [[nodiscard]] bool start_ready();
  [[nodiscard]] bool holds_any_queue() const;
  [[nodiscard]] bool advance_started();

  std::unique_ptr<DeviceQueues> queues_;
  std::mutex mutex_;
  std::condition_variable changed_, job_done_;
  std::vector<ThreadedOperation*> given_;  // not yet taken by the thread
  std::vector<Job*> jobs_;
  std::string failure_;
  std::atomic<bool> failed_{false};
  std::atomic<int> taking_memory_{0};
  bool ending_ = false;
  // Of the thread alone:
  std::vector<ThreadedOperation*> waiting_, started_;
  std::vector<void const*> held_lines_;
  std::optional<ExecutionSpace> own_;
  std::thread thread_;  // last: it uses all of the above
};

/// Hands all operations to `thread`. Waiting for one with a stream holds the stream, not the host, unless it
/// or another that is under way takes memory, as the first of each kind (operation, count, type ...) on a
/// communicator does; and an operation that fails after that throws out of the next call or wait of any
/// communicator of the thread.
/// Messages that cross need no group in `inner` (as in MPI): it is not told of groups.
[[nodiscard]] std::unique_ptr<Communicator> make_threaded(std::unique_ptr<Communicator> inner,
                                                          std::shared_ptr<CommunicationThread> thread);

/// Lets `decorate` make one communicator of several on the thread that makes their calls, so that the result,
/// all its stages, belongs to the thread as well: sums of fixed order, levels. Where the first is no
/// communicator of a thread, just calls it. Collective as `decorate` is.
[[nodiscard]] std::unique_ptr<Communicator> on_their_thread(
    std::vector<std::unique_ptr<Communicator>> parts,
    std::function<std::unique_ptr<Communicator>(std::vector<std::unique_ptr<Communicator>>)> const& decorate);

}  // namespace tessera::comm
