// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tessera/comm/communicator.hpp"

namespace tessera::bench {

/// The memory of one case, on a rank of n: `whole` and `other` hold as much as each other, and n times the
/// elements of `part` where the collective is in parts; elsewhere there is no `part`.
struct Buffers {
  std::vector<float> part, whole, other;
};

/// A collective operation, with the conventions of bench/README.md: its bytes are those of `whole`.
struct Collective {
  std::string_view name;      ///< "all_reduce"
  std::string_view osu_name;  ///< "Allreduce"
  std::string_view redop;     ///< as nccl-tests writes it
  int root;                   ///< -1: none
  bool out_of_place;          ///< whether there is such a call, beside the one in place
  bool in_parts;        ///< whether each rank gives or gets an equal part, so that sizes divide by the ranks
  bool osu_names_part;  ///< whether a size of the OSU benchmarks is that of a part
  double (*bus_factor)(double ranks);
  void (*run)(comm::Communicator&, Buffers&, bool in_place);
  /// What rank `rank` has in place of its result, and what belongs there, element by element.
  std::span<float const> (*result)(Buffers const&, bool in_place, std::size_t rank);
  float (*expected)(std::size_t element, std::size_t rank, std::size_t ranks, std::size_t part);
};

[[nodiscard]] std::span<Collective const> collectives();

/// Gives every buffer what this rank contributes. Small whole numbers, so that sums are exact in any order.
void fill(Buffers& data, std::size_t rank);

/// Elements of this rank's result that are not what they should be.
[[nodiscard]] std::int64_t wrong_elements(Collective const& collective, Buffers const& data, bool in_place,
                                          std::size_t rank, std::size_t ranks);

}  // namespace tessera::bench
