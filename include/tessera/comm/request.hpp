// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include "tessera/base/stream_ref.hpp"
#include "tessera/base/unique_handle.hpp"

namespace tessera::comm {

/// What a backend keeps about an operation under way. Backends and decorators derive from it and lend
/// instances from a pool, so that a step allocates none: `release` gives one back. All functions are called
/// by the thread that started the operation, never after `release`.
class RequestState {
 public:
  /// Moves the operation on and says whether it has ended. Throws CommError if it failed.
  virtual bool test() = 0;
  /// Returns when the buffers may be read and reused by the host. Throws CommError if the operation failed.
  virtual void wait_host() = 0;
  /// Orders `stream` after the operation: later work of the stream sees its result. On host spaces the same
  /// as wait_host.
  virtual void wait(StreamRef stream) = 0;
  /// As wait, but never waits itself: false where the stream cannot be ordered yet, and this has to be asked
  /// again. After true the operation may be left to the stream, or tested further for its failure.
  virtual bool order(StreamRef) { return test(); }
  /// Waits for the operation if it is still under way and no stream was ordered after it, swallows its error,
  /// and returns the state to its pool.
  virtual void release() noexcept = 0;

 protected:
  ~RequestState() = default;
};

/// An operation under way. Move-only; an empty request has ended. The buffers named when it was started
/// belong to the operation until it has ended. Destroying a request waits for it.
class [[nodiscard]] Request {
 public:
  Request() = default;
  /// Takes a state over from a backend; null makes an ended request.
  explicit Request(RequestState* state) noexcept : state_(state) {}

  /// Keeps `owner` (a managed view, for instance) alive until the request is destroyed.
  void keep_alive(std::shared_ptr<void const> owner) { owner_ = std::move(owner); }

  /// True once the operation has ended; moves it on otherwise. Throws CommError if it failed.
  bool test() { return !state_ || (state_.get()->test() && finish()); }
  /// Blocks the host until the operation has ended. Throws CommError if it failed.
  void wait_host() {
    if (!state_) return;
    state_.get()->wait_host();
    finish();
  }
  /// Orders `stream` after the operation; blocks the host only where there are no streams.
  void wait(StreamRef stream) {
    if (!state_) return;
    state_.get()->wait(stream);
    finish();
  }
  /// Orders `stream` after the operation where the host need not wait for that, else returns false, to be
  /// asked again. The request may be tested after true, for failures, or be destroyed, which does not wait.
  /// For implementers of communicators.
  bool order(StreamRef stream) { return !state_ || state_.get()->order(stream); }

 private:
  struct StateTraits {
    using Handle = RequestState*;
    static Handle null() noexcept { return nullptr; }
    static void free(Handle state) noexcept { state->release(); }
  };
  bool finish() noexcept {
    state_.reset();
    return true;
  }

  std::shared_ptr<void const> owner_;  // declared first: released after the operation
  UniqueHandle<StateTraits> state_;
};

}  // namespace tessera::comm
