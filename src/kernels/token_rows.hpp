// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The gradient of a token table on a device, in two launches of warps. The first puts the rows of the batch
// in order of their tokens, rows of one token in their own order: a row's place is the number of rows before
// it, counted by a warp. In the second the warps of a token's first place, one for each stretch of columns,
// add all rows of that token to its entry, one after another: a fixed order without atomics, in which a
// frequent token is many warps' work.
#pragma once

#include <cstdint>

#include "tessera/base/wide.hpp"
#include "tessera/kernels/launch.hpp"

namespace tessera::kernels::token_rows {

/// The tokens of a batch and the entries [first, first + held) of the table that are here.
struct Tokens {
  std::int32_t const* tokens;
  std::ptrdiff_t n;
  std::uint32_t first, held;

  /// Number of row j's entry; `held` or more when it is not here.
  [[nodiscard]] KOKKOS_INLINE_FUNCTION std::uint32_t entry(std::ptrdiff_t j) const {
    return static_cast<std::uint32_t>(tokens[j]) - first;
  }
};

/// order[0 .. order[n]) = the rows with an entry here, by entry, then by row. One warp for 4 rows, and a last
/// one that counts them all.
struct Order {
  Tokens of;
  std::int32_t* order;  ///< n + 1

  static constexpr int rows_of_warp = 4;
  [[nodiscard]] std::ptrdiff_t warps() const { return (of.n + rows_of_warp - 1) / rows_of_warp + 1; }

  template <class Team>
  KOKKOS_INLINE_FUNCTION void operator()(Team const& team, std::ptrdiff_t warp) const {
    std::ptrdiff_t const row = warp * rows_of_warp;
    if (row >= of.n) return count_all(team);
    int const rows = static_cast<int>(of.n - row < rows_of_warp ? of.n - row : rows_of_warp);
    std::uint32_t entry[rows_of_warp];
    bool any = false;
    for (int r = 0; r < rows_of_warp; ++r) {
      entry[r] = of.entry(r < rows ? row + r : row);
      any = any || entry[r] < of.held;
    }
    if (!any) return;
    std::int32_t before[rows_of_warp] = {};
    for (std::ptrdiff_t j = team.lane(); j < row; j += warp_lanes) {
      std::uint32_t const other = of.entry(j);
      for (int r = 0; r < rows_of_warp; ++r) before[r] += other <= entry[r] ? 1 : 0;
    }
    for (std::ptrdiff_t j = row + team.lane(); j < of.n; j += warp_lanes) {
      std::uint32_t const other = of.entry(j);
      for (int r = 0; r < rows_of_warp; ++r) before[r] += other < entry[r] ? 1 : 0;
    }
    for (int r = 0; r < rows_of_warp; ++r) {
      std::int32_t place = team.folded(before[r], Plus{});
      for (int q = 0; q < r; ++q) place += entry[q] == entry[r] ? 1 : 0;
      if (r < rows && entry[r] < of.held) {
        team.once([&] { order[place] = static_cast<std::int32_t>(row + r); });
      }
    }
  }

 private:
  template <class Team>
  KOKKOS_INLINE_FUNCTION void count_all(Team const& team) const {
    std::int32_t count = 0;
    for (std::ptrdiff_t j = team.lane(); j < of.n; j += warp_lanes) count += of.entry(j) < of.held ? 1 : 0;
    count = team.folded(count, Plus{});
    team.once([&] { order[of.n] = count; });
  }
};

/// dtable (held, D) += dy (n, D) by entry. W columns a lane: 1, or a whole pack where all rows begin at one.
template <int W, class T>
struct AddByEntry {
  Tokens of;
  std::int32_t const* order;
  T const* dy;
  Wide<T>* dtable;
  std::ptrdiff_t d;

  static constexpr int rows_ahead = 8;  ///< rows that a lane has asked for before it adds the first
  [[nodiscard]] KOKKOS_INLINE_FUNCTION std::ptrdiff_t stretches() const {
    return (d + W * warp_lanes - 1) / (W * warp_lanes);
  }

  /// `warp` counts stretches of columns, then places.
  template <class Team>
  KOKKOS_INLINE_FUNCTION void operator()(Team const& team, std::ptrdiff_t warp) const {
    std::ptrdiff_t const place = warp / stretches(), count = order[of.n];
    if (place >= count) return;
    std::uint32_t const entry = of.entry(order[place]);
    if (place > 0 && of.entry(order[place - 1]) == entry) return;
    std::ptrdiff_t const end = end_of(team, entry, place, count);
    std::ptrdiff_t const column = (warp % stretches() * warp_lanes + team.lane()) * W;
    if (column < d) add(static_cast<std::ptrdiff_t>(entry) * d + column, place, end, column);
  }

 private:
  /// The place after the last row of `entry`, whose rows begin at `place`.
  template <class Team>
  KOKKOS_INLINE_FUNCTION std::ptrdiff_t end_of(Team const& team, std::uint32_t entry, std::ptrdiff_t place,
                                               std::ptrdiff_t count) const {
    for (std::ptrdiff_t begin = place;; begin += warp_lanes) {
      std::ptrdiff_t const own = begin + team.lane();
      unsigned same = team.warp().where(own < count && of.entry(order[own < count ? own : place]) == entry);
      if (same == ~0u) continue;
      std::ptrdiff_t end = begin;
      for (; same != 0; same >>= 1) ++end;
      return end;
    }
  }
  KOKKOS_INLINE_FUNCTION void add(std::ptrdiff_t to, std::ptrdiff_t place, std::ptrdiff_t end,
                                  std::ptrdiff_t column) const {
    Update<Wide<T>> const sums(dtable);
    Read<T> const slopes(dy);
    auto total = sums.template load<W>(to, true);
    for (; place < end; place += rows_ahead) {
      Pack<T, W> packs[rows_ahead] = {};
      for (int i = 0; i < rows_ahead; ++i) {
        if (place + i < end) packs[i] = slopes.template load<W>(order[place + i] * d + column, true);
      }
      for (int i = 0; i < rows_ahead; ++i) {
        if (place + i >= end) break;
        for (int j = 0; j < W; ++j) total.element[j] += packs[i].element[j];
      }
    }
    sums.template store<W>(to, total, true);
  }
};

}  // namespace tessera::kernels::token_rows
