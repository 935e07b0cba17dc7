// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The first part of a column sum on a device: sums over blocks of rows (columns.hpp).
#pragma once

#include "tessera/kernels/launch.hpp"

namespace tessera::kernels::columns {

/// K sums at once: term(row, value, element of each stream) sets value[0..K) for a place of the token rows,
/// whose arrays (tiles * tile_rows, width) the streams are.
template <class T, int K>
struct Sums {
  T* out[K];  ///< (tiles, width) each
  std::ptrdiff_t tiles, tile_rows, width;
  bool accumulate;
};

template <class T>
KOKKOS_INLINE_FUNCTION void put(T& out, T value, bool add) {
  out = add ? out + value : value;
}

/// Rows of a block on a device.
inline constexpr std::ptrdiff_t device_row_block = 64;

template <class T, int K>
KOKKOS_INLINE_FUNCTION std::ptrdiff_t blocks_of_tile(Sums<T, K> const& sums) {
  return (sums.tile_rows + device_row_block - 1) / device_row_block;
}

/// The sums of one block of rows: partial (K, tiles, blocks of a tile, width). A lane has W neighbouring
/// columns (1, or a whole pack of memory where every row begins at one); 8 lanes stand beside each other, the
/// 4 groups of them take the rows in turn, so that narrow tensors too keep many loads under way.
template <int W, class T, int K, class Term, class... Streams>
struct BlockSums {
  Term term;
  kernels::detail::HeldStreams<Streams...> held;
  Sums<T, K> sums;
  T* partial;

  static constexpr int groups = 4;
  static constexpr int lanes_of_group = warp_lanes / groups;
  static constexpr int rows_ahead = 4;  ///< rows that a lane has asked for before it adds the first

  [[nodiscard]] KOKKOS_INLINE_FUNCTION std::ptrdiff_t warps_of_block() const {
    return (sums.width + W * lanes_of_group - 1) / (W * lanes_of_group);
  }

  /// `warp` counts warps of a block, then blocks, then tiles.
  template <class Team>
  KOKKOS_INLINE_FUNCTION void operator()(Team const& team, std::ptrdiff_t warp) const {
    std::ptrdiff_t const block = warp / warps_of_block();
    std::ptrdiff_t const column =
        (warp % warps_of_block() * lanes_of_group + team.lane() % lanes_of_group) * W;
    Pack<T, W> total[K] = {};
    if (column < sums.width) add_rows(block, column, team.lane() / lanes_of_group, total);
    for (int mask = warp_lanes / 2; mask >= lanes_of_group; mask /= 2) {
      for (int k = 0; k < K; ++k) {
        for (int j = 0; j < W; ++j) total[k].element[j] += team.warp().exchanged(total[k].element[j], mask);
      }
    }
    if (column >= sums.width || team.lane() >= lanes_of_group) return;
    for (int k = 0; k < K; ++k) {
      T* const to = partial + (k * sums.tiles * blocks_of_tile(sums) + block) * sums.width + column;
      for (int j = 0; j < W; ++j) to[j] = total[k].element[j];
    }
  }

 private:
  using Packs = kernels::detail::PackSet<W, typename Streams::Element...>;

  KOKKOS_INLINE_FUNCTION void add_rows(std::ptrdiff_t block, std::ptrdiff_t column, int group,
                                       Pack<T, W> (&total)[K]) const {
    std::ptrdiff_t const blocks = blocks_of_tile(sums);
    std::ptrdiff_t const end = (block / blocks + 1) * sums.tile_rows;
    std::ptrdiff_t const first = block / blocks * sums.tile_rows + block % blocks * device_row_block;
    std::ptrdiff_t const stop = first + device_row_block < end ? first + device_row_block : end;
    std::ptrdiff_t row = first + group;
    for (; row + (rows_ahead - 1) * groups < stop; row += rows_ahead * groups) {
      Packs packs[rows_ahead];
      for (int i = 0; i < rows_ahead; ++i) packs[i] = loaded(row + i * groups, column);
      for (int i = 0; i < rows_ahead; ++i) add(row + i * groups, packs[i], total);
    }
    for (; row < stop; row += groups) add(row, loaded(row, column), total);
  }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION Packs loaded(std::ptrdiff_t row, std::ptrdiff_t column) const {
    Packs packs;
    held.apply([&](Streams const&... streams) { packs.load(row * sums.width + column, streams...); });
    return packs;
  }
  KOKKOS_INLINE_FUNCTION void add(std::ptrdiff_t row, Packs const& packs, Pack<T, W> (&total)[K]) const {
    for (int j = 0; j < W; ++j) {
      T value[K];
      packs.apply(j, [&](typename Streams::Element const&... elements) { term(row, value, elements...); });
      for (int k = 0; k < K; ++k) total[k].element[j] += value[k];
    }
  }
};

}  // namespace tessera::kernels::columns
