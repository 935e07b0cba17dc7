// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/collectives.hpp"

#include <fmt/format.h>

#include "tessera/base/error.hpp"
#include "tessera/comm/device_ops.hpp"

namespace tessera::comm::detail {

namespace {

[[noreturn]] void fail(Communicator const& comm, std::string_view operation, std::string_view problem) {
  throw CommError(fmt::format("{} on rank {} of {} ({}): {}", operation, comm.rank(), comm.size(),
                              comm.backend(), problem));
}

}  // namespace

void check_contiguous(bool contiguous, Communicator const& comm, std::string_view operation) {
  if (!contiguous) fail(comm, operation, "the view is not contiguous; copy it into one that is");
}

void check_counts(std::size_t got, std::size_t expected, Communicator const& comm,
                  std::string_view operation) {
  if (got == expected) return;
  fail(comm, operation,
       fmt::format("the larger view holds {} elements, but the other one asks for {}", got, expected));
}

void check_divides(std::size_t count, Communicator const& comm, std::string_view operation) {
  if (count % static_cast<std::size_t>(comm.size()) == 0) return;
  fail(comm, operation, fmt::format("{} elements cannot be cut into equal parts for the ranks", count));
}

void check_peer(int peer, Communicator const& comm, std::string_view operation) {
  if (peer >= 0 && peer < comm.size()) return;
  fail(comm, operation, fmt::format("there is no rank {} in this group", peer));
}

void finish_mean(Request& sum, void* values, std::size_t count, DType type, Communicator const& comm,
                 StreamRef stream) {
  sum.wait_host();
  divide(values, comm.size(), count, type, stream);
}

}  // namespace tessera::comm::detail
