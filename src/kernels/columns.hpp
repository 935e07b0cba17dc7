// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Sums down the columns of token rows in the one order that all parameter gradients use. On a host: rows one
// after another in blocks of 32, then the sums of blocks one after another. On a device, which has its own
// order: blocks of 64 rows, of which four groups of lanes take every fourth one after another, the groups by
// halving, then the sums of blocks as sum.hpp adds.
#pragma once

#include "kernels/block_sums.hpp"
#include "kernels/device_scratch.hpp"
#include "tessera/kernels/launch.hpp"

namespace tessera::kernels::columns {

inline constexpr std::ptrdiff_t row_block = 32;  ///< on a host
/// Columns that a host thread sums together: read as one stretch of memory, kept in the first-level cache.
inline constexpr std::ptrdiff_t column_block = 1024;

/// Columns [column, column + count) of one tile on a host: rows outside, so that memory is read in order.
template <class T, int K, class Term, class... Streams>
void host_block(Sums<T, K> const& sums, std::ptrdiff_t tile, std::ptrdiff_t column, std::ptrdiff_t count,
                Term const& term, Streams const&... streams) {
  std::ptrdiff_t const end = (tile + 1) * sums.tile_rows;
  for (std::ptrdiff_t row = tile * sums.tile_rows; row < end; row += row_block) {
    T partial[K][column_block];
    for (int k = 0; k < K; ++k) {
      for (std::ptrdiff_t c = 0; c < count; ++c) partial[k][c] = T(0);
    }
    std::ptrdiff_t const stop = row + row_block < end ? row + row_block : end;
    for (std::ptrdiff_t r = row; r < stop; ++r) {
      detail::independent(count, [&](std::ptrdiff_t c) {
        T value[K];
        term(r, value, streams.at(r * sums.width + column + c)...);
        for (int k = 0; k < K; ++k) partial[k][c] += value[k];
      });
    }
    bool const add = sums.accumulate || row != tile * sums.tile_rows;
    for (int k = 0; k < K; ++k) {
      T* const out = sums.out[k] + tile * sums.width + column;
      detail::independent(count, [&](std::ptrdiff_t c) { put(out[c], partial[k][c], add); });
    }
  }
}

template <class T, int K, class Term, class... Streams>
void sum_on_host(ExecutionSpace const& exec, std::string const& label, Sums<T, K> const& sums,
                 Term const& term, Streams const&... streams) {
  std::ptrdiff_t const blocks = (sums.width + column_block - 1) / column_block;
  rows(exec, label, sums.tiles * blocks, [=](RowTeam const&, std::ptrdiff_t index) {
    std::ptrdiff_t const column = index % blocks * column_block;
    std::ptrdiff_t const left = sums.width - column;
    host_block(sums, index / blocks, column, left < column_block ? left : column_block, term, streams...);
  });
}

/// Adds the sums of blocks, partial (K, tiles, blocks, width).
template <class T, int K>
void sum_blocks(ExecutionSpace const& exec, std::string const& label, Sums<T, K> const& sums,
                T const* partial) {
  std::ptrdiff_t const blocks = blocks_of_tile(sums), entries = sums.tiles * sums.width;
  rows(
      exec, label, K * entries, KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t index) {
        T const* const from = partial + index / sums.width * blocks * sums.width + index % sums.width;
        T const total =
            team.template sum<T>(blocks, [&](std::ptrdiff_t block) { return from[block * sums.width]; });
        T* out = sums.out[0];
        for (int k = 1; k < K; ++k) out = index < k * entries ? out : sums.out[k];
        team.once([&] { put(out[index % entries], total, sums.accumulate); });
      });
}

template <int W, class T, int K, class Term, class... Streams>
void sum_on_device(ExecutionSpace const& exec, std::string const& label, Sums<T, K> const& sums,
                   Term const& term, Streams const&... streams) {
  std::ptrdiff_t const blocks = sums.tiles * blocks_of_tile(sums);
  T* const partial = device_scratch<T>(exec, K * blocks * sums.width);
  BlockSums<W, T, K, Term, Streams...> const body{term, {streams...}, sums, partial};
  rows(exec, label, blocks * body.warps_of_block(), body);
  sum_blocks(exec, label, sums, static_cast<T const*>(partial));
}

template <class T, int K, class Term, class... Streams>
void sum(ExecutionSpace const& exec, std::string const& label, Sums<T, K> const& sums, Term const& term,
         Streams const&... streams) {
  if constexpr (runs_on_host) {
    sum_on_host(exec, label, sums, term, streams...);
  } else {
    constexpr int pack = elements_of_pack<Streams...>;
    if ((streams.aligned() && ...) && sums.width % pack == 0) {
      sum_on_device<pack>(exec, label, sums, term, streams...);
    } else {
      sum_on_device<1>(exec, label, sums, term, streams...);
    }
  }
}

}  // namespace tessera::kernels::columns
