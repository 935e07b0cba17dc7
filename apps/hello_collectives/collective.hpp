// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The four collectives that split layers are made of, each with what it must give and how its speed is
// counted. n is the number of ranks, c the elements of one rank.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "tessera/base/views.hpp"
#include "tessera/comm/communicator.hpp"

namespace hello {

using Buffer = Kokkos::View<float*, tessera::MemorySpace>;

/// One collective on buffers of n*c elements, of which some use c only.
struct Collective {
  std::string_view name;
  /// Blocks until the result is there. Before the first call both buffers hold the values of their rank.
  void (*run)(tessera::comm::Communicator& group, Buffer const& send, Buffer const& receive);
  /// Element i of the result on `rank`.
  float (*expected)(int rank, int n, std::size_t c, std::size_t i);
  /// Elements of the result: n*c or c.
  std::size_t (*result_count)(int n, std::size_t c);
  /// Bus bandwidth over algorithm bandwidth (bytes of the n*c elements over time): what the links must carry.
  double (*bus_factor)(int n);
};

[[nodiscard]] std::span<Collective const> collectives();

struct Measurement {
  bool right;      ///< on every rank, element by element
  double seconds;  ///< of one call, the slowest rank
};

/// Collective. Checks the result once, then times `repetitions` calls.
[[nodiscard]] Measurement measure(Collective const& collective, tessera::comm::Communicator& group,
                                  std::size_t c, int repetitions);

}  // namespace hello
