// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What one call of a communicator is, in words and numbers: for decorators that count, watch or compare
// calls.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string_view>

#include "tessera/base/dtype.hpp"
#include "tessera/comm/communicator.hpp"

namespace tessera::comm {

enum class Operation : std::uint8_t {
  broadcast,
  all_reduce,
  all_gather,
  reduce_scatter,
  all_to_all,
  send,
  receive,
  barrier
};
inline constexpr std::size_t operation_count = 8;

constexpr std::string_view to_string(Operation operation) {
  constexpr std::array<std::string_view, operation_count> names{
      "broadcast", "all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send", "receive", "barrier"};
  return names[static_cast<std::size_t>(operation)];
}

constexpr std::string_view to_string(Op op) {
  constexpr std::array<std::string_view, 3> names{"sum", "max", "min"};
  return names[static_cast<std::size_t>(op)];
}

/// Between two ranks, not of the whole group.
constexpr bool is_message(Operation operation) {
  return operation == Operation::send || operation == Operation::receive;
}
constexpr bool combines(Operation operation) {
  return operation == Operation::all_reduce || operation == Operation::reduce_scatter;
}

struct Call {
  Operation operation = Operation::barrier;
  DType type = DType::u8;
  Op op = Op::sum;          ///< of those that combine
  std::int32_t peer = -1;   ///< root of a broadcast, other side of a message, rank in the group; else -1
  std::uint64_t count = 0;  ///< elements, as the call was given them

  bool operator==(Call const&) const = default;
};

/// Payload of a call in a group of `ranks`, the same for every algorithm a backend may choose: the bytes of
/// the count for broadcast, all_reduce, send and receive; `ranks` times that for all_gather, reduce_scatter
/// and all_to_all; 0 for barrier.
constexpr std::size_t payload_bytes(Call const& call, int ranks) {
  std::size_t const bytes = call.count * size_bytes(call.type);
  switch (call.operation) {
    case Operation::all_gather:
    case Operation::reduce_scatter:
    case Operation::all_to_all: return bytes * static_cast<std::size_t>(ranks);
    default: return bytes;
  }
}

namespace detail {
constinit inline thread_local std::source_location call_site{};
}  // namespace detail

/// Where the program calls the operation that this thread is about to start; line 0 where nobody said.
inline std::source_location call_site() noexcept { return detail::call_site; }

/// Says so as long as it lives. The typed functions of collectives.hpp hold one around their call of the
/// communicator, so that the abstract class need not carry it.
class CallSite {
 public:
  explicit CallSite(std::source_location where) noexcept { detail::call_site = where; }
  CallSite(CallSite const&) = delete;
  CallSite& operator=(CallSite const&) = delete;
  ~CallSite() { detail::call_site = {}; }
};

}  // namespace tessera::comm
