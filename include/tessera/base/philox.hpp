// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Random numbers that belong to an element, not to a process: the Philox4x32-10 block cipher (Salmon et al.,
// "Parallel Random Numbers: As Easy as 1, 2, 3", SC11) applied to where an element is. Any rank computes the
// numbers of any element, so no layout changes a mask, an initial weight or a shuffle (docs/numerics.md, rule
// 13).
#pragma once

#include <cstdint>

#include "tessera/base/kokkos.hpp"

namespace tessera {

/// Four 32-bit numbers.
struct Philox4 {
  std::uint32_t value[4];
};

/// One block: `counter` of 128 bits enciphered under `key` of 64 bits.
KOKKOS_INLINE_FUNCTION Philox4 philox4x32(std::uint32_t c0, std::uint32_t c1, std::uint32_t c2,
                                          std::uint32_t c3, std::uint32_t k0, std::uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    std::uint64_t const p0 = std::uint64_t{0xD2511F53u} * c0;
    std::uint64_t const p1 = std::uint64_t{0xCD9E8D57u} * c2;
    std::uint32_t const n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    std::uint32_t const n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(p1);
    c3 = static_cast<std::uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

/// A stream of random numbers indexed by global element: key = seed; counter = (element / 4: 64 bits,
/// step: 32, site: 32). A site is one place of the program that draws (an operation of one layer).
class RandomSite {
 public:
  RandomSite() = default;
  KOKKOS_INLINE_FUNCTION RandomSite(std::uint64_t seed, std::uint32_t step, std::uint32_t site)
      : seed_(seed), step_(step), site_(site) {}

  /// The numbers of elements 4 * block .. 4 * block + 3.
  KOKKOS_INLINE_FUNCTION Philox4 block(std::uint64_t block) const {
    return philox4x32(static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), step_,
                      site_, static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32));
  }
  /// The number of one element.
  KOKKOS_INLINE_FUNCTION std::uint32_t bits(std::uint64_t element) const {
    return block(element / 4).value[element % 4];
  }

  [[nodiscard]] KOKKOS_INLINE_FUNCTION std::uint64_t seed() const { return seed_; }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION std::uint32_t step() const { return step_; }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION std::uint32_t site() const { return site_; }

 private:
  std::uint64_t seed_ = 0;
  std::uint32_t step_ = 0;
  std::uint32_t site_ = 0;
};

/// A random 32-bit number as a double in (0, 1): never 0, never 1.
KOKKOS_INLINE_FUNCTION double unit_interval(std::uint32_t bits) { return (bits + 0.5) * 0x1p-32; }

}  // namespace tessera
