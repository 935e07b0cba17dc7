// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "tessera/comm/call.hpp"
#include "tessera/comm/communicator.hpp"

namespace tessera::comm {

/// An operation that a thread is to start.
struct ThreadedCall {
  Operation kind = Operation::barrier;
  void const* send = nullptr;
  void* receive = nullptr;
  std::size_t count = 0;
  DType type = DType::u8;
  Op op = Op::sum;
  int peer = 0;  ///< or root
};

/// Starts it on `inner`, in the order of `stream`.
inline Request issue(Communicator& inner, ThreadedCall const& call, StreamRef stream) {
  auto const& [kind, send, receive, count, type, op, peer] = call;
  switch (kind) {
    case Operation::broadcast: return inner.broadcast(receive, count, type, peer, stream);
    case Operation::all_reduce: return inner.all_reduce(send, receive, count, type, op, stream);
    case Operation::all_gather: return inner.all_gather(send, receive, count, type, stream);
    case Operation::reduce_scatter: return inner.reduce_scatter(send, receive, count, type, op, stream);
    case Operation::all_to_all: return inner.all_to_all(send, receive, count, type, stream);
    case Operation::send: return inner.send(send, count, type, peer, stream);
    case Operation::receive: return inner.receive(receive, count, type, peer, stream);
    case Operation::barrier: return inner.barrier(stream);
  }
  return {};
}

/// What one communicator has done before, in a queue. An operation that differs in more than its addresses
/// takes memory, in this library and in the one below, and on a device that may wait for all queues: none may
/// be held until it has ended.
class Experience {
 public:
  [[nodiscard]] bool covers(ThreadedCall const& call) const noexcept {
    return std::ranges::any_of(calls_, [&](ThreadedCall const& known) { return alike(known, call); });
  }
  void add(ThreadedCall const& call) {
    if (!covers(call)) calls_.push_back(call);
  }

 private:
  static bool alike(ThreadedCall const& a, ThreadedCall const& b) noexcept {
    return a.kind == b.kind && a.count == b.count && a.type == b.type && a.op == b.op && a.peer == b.peer;
  }
  std::vector<ThreadedCall> calls_;
};

}  // namespace tessera::comm
