// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tessera::data {

/// A pseudo-random order of 0 .. n-1 that needs no memory: any element is computed alone, in a few hundred
/// nanoseconds, so a data set of any size is shuffled without a table and any place of the order can be
/// entered at once. A true bijection, a function of (n, seed, epoch) only.
///
/// Method: a Feistel network of six rounds on pairs (left, right) of numbers below a = ceil(sqrt(n)), whose
/// round function is Philox4x32-10 under `seed`; results outside 0 .. n-1 are enciphered again until they
/// fall inside
/// ("cycle walking"): Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002, methods 2
/// and 3. As a^2 - n <= 2 sqrt(n), walking is rare.
class Permutation {
 public:
  /// `size` = n, 1 .. 2^62.
  Permutation(std::int64_t size, std::uint64_t seed, std::uint64_t epoch);

  /// Element at `index` of the order, both 0 .. n-1.
  [[nodiscard]] std::int64_t operator()(std::int64_t index) const;

 private:
  [[nodiscard]] std::uint64_t encipher(std::uint64_t value) const;

  std::uint64_t size_;
  std::uint64_t root_;  // a
  std::uint64_t seed_;
  std::uint64_t epoch_;
};

}  // namespace tessera::data
