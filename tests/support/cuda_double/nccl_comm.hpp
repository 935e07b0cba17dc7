// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What stands behind ncclComm_t here.
#pragma once

#include <nccl.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "support/cuda_double/queue.hpp"
#include "support/threads/exchange.hpp"

namespace tessera::support::cuda_double {

/// Where the ranks of one unique id meet.
class Meeting {
 public:
  explicit Meeting(int ranks) : exchange(ranks) {}

  Exchange exchange;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::pair<int, int>> devices;  // node and device of those who have come
  int closed = 0;
  /// How often each end of a way between two ranks was called: (from, to, 0 by the sender or 1).
  std::map<std::pair<std::pair<int, int>, int>, int> called;

  void wake() {
    {
      std::lock_guard const lock(mutex);
      changed.notify_all();
    }
    exchange.wake();
  }
};

/// Shared by the handle, the background thread and the streams, which may outlive the handle.
struct CommState {
  std::shared_ptr<Meeting> meeting;
  int rank = 0;
  int node = 0;
  int device = 0;
  std::atomic<bool> aborted{false};
  std::atomic<int> failure{ncclSuccess};
};

/// One call inside a group.
struct Operation {
  ncclComm_t comm;
  cudaStream_t stream;
  bool is_message;
  Part part;     // of a collective
  int peer;      // of a message
  bool sends;    // of a message
  void* buffer;  // of a message
  std::size_t bytes;
};

/// Keeps what `operations`, of one communicator, ask for under way in the background.
ncclResult_t launch(std::vector<Operation> const& operations);

}  // namespace tessera::support::cuda_double

struct ncclComm {
  std::shared_ptr<tessera::support::cuda_double::CommState> state;
  bool blocking = true;
  tessera::support::cuda_double::Queue background;
};
