// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The number that stands for all weights of a run (rule 12 of docs/numerics.md): a sum of one hash an
// element, so it needs no order and any rank can contribute any part.
#pragma once

#include <cstdint>

#include "tessera/base/views.hpp"
#include "tessera/kernels/element_runs.hpp"

namespace tessera::kernels {

/// A bijection of 64-bit numbers that spreads every bit over all (the finaliser of splitmix64: Steele, Lea,
/// Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
KOKKOS_INLINE_FUNCTION std::uint64_t mix64(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/// The sum mod 2^64 over the tile's elements, padding left out, of
/// mix64(mix64(name + global index) ^ bits of the element), `name` being params::name_hash. x (outer * run).
/// Waits for `exec`.
template <class T>
[[nodiscard]] std::uint64_t weights_hash(ExecutionSpace const& exec, ConstVector<T> x, std::uint64_t name,
                                         ElementRuns const& runs);

}  // namespace tessera::kernels
