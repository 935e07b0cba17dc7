// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Random numbers of the 16 x 8 probabilities that a warp holds as results of a product (thread.hpp): number
// of probability (query i, key j) = first + i S + j, as kernels/dropout.hpp says. Where S is a multiple of 4
// a Philox block covers 4 keys of one query, and the lanes that hold them draw one block each and exchange.
// What is kept is a bit an element, so that the cipher stands in the program only a few times.
#pragma once

#include "kernels/attention_call.hpp"
#include "kernels/flash/thread.hpp"

namespace tessera::kernels::flash {

/// The numbers of one (sequence, head).
struct HeadNumbers {
  RandomSite site;
  std::uint64_t first;
  std::uint64_t positions;

  [[nodiscard]] TESSERA_TILE_FUNCTION bool aligned() const { return positions % 4 == 0; }
  [[nodiscard]] TESSERA_TILE_FUNCTION std::uint64_t index(int query, int key) const {
    return first + static_cast<std::uint64_t>(query) * positions + static_cast<std::uint64_t>(key);
  }
  [[nodiscard]] TESSERA_TILE_FUNCTION std::uint32_t bits(int query, int key) const {
    return site.bits(index(query, key));
  }
};
template <class Call>
TESSERA_TILE_FUNCTION HeadNumbers numbers_of(Call const& call, attention::Place place) {
  return {call.factors.site(), attention::first_probability(call.shape, call.dropout, place),
          static_cast<std::uint64_t>(call.shape.positions)};
}

/// For an aligned head. Rows are queries from `query` on, columns keys from `key` on, both multiples of 8.
template <class Thread>
TESSERA_TILE_FUNCTION void numbers_of_queries(Thread const& thread, HeadNumbers const& numbers, int query,
                                              int key, std::uint32_t (&bits)[4]) {
  int const row = query + thread.lane() / 4;
  int const pair = thread.lane() % 4;
  bool const odd = pair % 2 != 0;
  Philox4 const own = numbers.site.block(numbers.index(row + (odd ? 8 : 0), key + pair / 2 * 4) / 4);
  std::uint32_t const other0 = thread.shuffle_xor(odd ? own.value[0] : own.value[2], 1);
  std::uint32_t const other1 = thread.shuffle_xor(odd ? own.value[1] : own.value[3], 1);
  bits[0] = odd ? other0 : own.value[0];
  bits[1] = odd ? other1 : own.value[1];
  bits[2] = odd ? own.value[2] : other0;
  bits[3] = odd ? own.value[3] : other1;
}

/// Swaps values[low] of the lane with `upper` with values[high] of the one `mask` away without it.
template <class Thread>
TESSERA_TILE_FUNCTION void exchange(Thread const& thread, bool upper, int mask, std::uint32_t& low,
                                    std::uint32_t& high) {
  std::uint32_t const other = thread.shuffle_xor(upper ? low : high, mask);
  low = upper ? other : low;
  high = upper ? high : other;
}

/// For an aligned head. Rows are keys from `key` on, columns queries from `query` on, both multiples of 8.
template <class Thread>
TESSERA_TILE_FUNCTION void numbers_of_keys(Thread const& thread, HeadNumbers const& numbers, int key,
                                           int query, std::uint32_t (&bits)[4]) {
  int const row = thread.lane() / 4;
  int const column = query + thread.lane() % 4 * 2;
  // Of the four lanes that hold keys 4u .. 4u + 3, lane r draws what all of them hold as bits[r].
  int const r = row % 4;
  Philox4 const own = numbers.site.block(numbers.index(column + r % 2, key + row / 4 * 4 + r / 2 * 8) / 4);
  TESSERA_UNROLL
  for (int i = 0; i < 4; ++i) bits[i] = own.value[i];
  exchange(thread, r % 2 != 0, 4, bits[0], bits[1]);
  exchange(thread, r % 2 != 0, 4, bits[2], bits[3]);
  exchange(thread, r / 2 != 0, 8, bits[0], bits[2]);
  exchange(thread, r / 2 != 0, 8, bits[1], bits[3]);
}

/// Whether element i of square n of a warp's 16 rows stays: bit i of the lowest 4 bits for n = 0, and so on.
/// Rows are queries from `query` on, columns keys from `key` on, or the other way round.
template <bool rows_are_keys, int N, class Thread>
TESSERA_TILE_FUNCTION std::uint32_t kept(Thread const& thread, DropoutFactors const& factors,
                                         HeadNumbers const& numbers, int query, int key) {
  static_assert(N <= 8);
  std::uint32_t result = 0;
  if (numbers.aligned()) {
    TESSERA_UNROLL_BY_4
    for (int n = 0; n < N; ++n) {
      std::uint32_t bits[4];
      if constexpr (rows_are_keys) {
        numbers_of_keys(thread, numbers, key, query + 8 * n, bits);
      } else {
        numbers_of_queries(thread, numbers, query, key + 8 * n, bits);
      }
      TESSERA_UNROLL
      for (int i = 0; i < 4; ++i) result |= static_cast<std::uint32_t>(factors.keeps(bits[i])) << (4 * n + i);
    }
  } else {
    int const row = thread.lane() / 4;
    int const column = thread.lane() % 4 * 2;
    TESSERA_KEEP_LOOP
    for (int e = 0; e < 4 * N; ++e) {
      int const down = row + e % 4 / 2 * 8;
      int const along = column + e / 4 * 8 + e % 2;
      std::uint32_t const bits =
          rows_are_keys ? numbers.bits(query + along, key + down) : numbers.bits(query + down, key + along);
      result |= static_cast<std::uint32_t>(factors.keeps(bits)) << e;
    }
  }
  return result;
}

/// Zeros where the bits of kept() say so.
template <int N>
TESSERA_TILE_FUNCTION void drop(std::uint32_t kept_bits, float (&values)[N][4]) {
  TESSERA_UNROLL
  for (int n = 0; n < N; ++n) {
    TESSERA_UNROLL
    for (int i = 0; i < 4; ++i) values[n][i] = (kept_bits >> (4 * n + i) & 1U) != 0 ? values[n][i] : 0.0F;
  }
}

}  // namespace tessera::kernels::flash
