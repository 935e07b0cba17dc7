// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What keeps several operations of one thread moving. An operation made of steps (a tree sum, a hierarchical
// all-reduce) needs the processor of every rank it passes through. A rank that sleeps in the wait of another
// operation would stall it, and through a circle of such ranks the whole job. So whoever waits, in whatever
// backend, keeps all of the thread's operations moving.
//
// For implementers of communicators; users of them need none of it.
#pragma once

#include <thread>

namespace tessera::comm {

/// An operation that needs calls to move on. Enlisted while it is under way.
class Progressive {
 public:
  /// Moves on as far as possible without waiting. Keeps an error for its owner.
  virtual void progress() noexcept = 0;

 protected:
  ~Progressive() = default;
};

/// Adds `operation` to, and takes it from, the list of the calling thread.
void enlist(Progressive& operation);
void delist(Progressive& operation) noexcept;

/// Moves every enlisted operation of the calling thread on.
void progress_all() noexcept;
/// Whether there is one, so that the thread must not sleep.
[[nodiscard]] bool anything_enlisted() noexcept;

/// Calls `ended` until it gives true, moving the thread's other operations on in between.
template <class Ended>
void wait_until(Ended&& ended) {
  while (!ended()) {
    progress_all();
    std::this_thread::yield();
  }
}

}  // namespace tessera::comm
