// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Sums down the columns of token rows in the one order that all parameter gradients use: rows one after
// another in blocks of 32, then the sums of blocks one after another.
#pragma once

#include "tessera/kernels/launch.hpp"

namespace tessera::kernels::columns {

inline constexpr std::ptrdiff_t row_block = 32;
/// Columns of one team: on a host as many as are read as one stretch of memory and summed in the first-level
/// cache.
inline constexpr std::ptrdiff_t column_block = runs_on_host ? 1024 : sum_lanes;

/// K sums at once. `term(row, column, value)` sets value[0..K).
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

/// Columns [column, column + count) of one tile on a host: rows outside, so that memory is read in order.
template <class T, int K, class Term>
void host_block(Sums<T, K> const& sums, std::ptrdiff_t tile, std::ptrdiff_t column, std::ptrdiff_t count,
                Term const& term) {
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
        term(r, column + c, value);
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

/// One column of one tile, rows inside.
template <class T, int K, class Term>
KOKKOS_INLINE_FUNCTION void one_column(Sums<T, K> const& sums, std::ptrdiff_t tile, std::ptrdiff_t column,
                                       Term const& term) {
  std::ptrdiff_t const end = (tile + 1) * sums.tile_rows;
  for (std::ptrdiff_t row = tile * sums.tile_rows; row < end; row += row_block) {
    T partial[K] = {};
    std::ptrdiff_t const stop = row + row_block < end ? row + row_block : end;
    for (std::ptrdiff_t r = row; r < stop; ++r) {
      T value[K];
      term(r, column, value);
      for (int k = 0; k < K; ++k) partial[k] += value[k];
    }
    bool const add = sums.accumulate || row != tile * sums.tile_rows;
    for (int k = 0; k < K; ++k) put(sums.out[k][tile * sums.width + column], partial[k], add);
  }
}

/// The `index`-th block of columns of all tiles, by one team.
template <class T, int K, class Term>
KOKKOS_INLINE_FUNCTION void sum_block_of_columns(RowTeam const& team, Sums<T, K> const& sums,
                                                 std::ptrdiff_t index, Term const& term) {
  std::ptrdiff_t const blocks = (sums.width + column_block - 1) / column_block;
  std::ptrdiff_t const tile = index / blocks;
  std::ptrdiff_t const column = index % blocks * column_block;
  std::ptrdiff_t const left = sums.width - column;
  std::ptrdiff_t const count = left < column_block ? left : column_block;
  if constexpr (runs_on_host) {
    host_block(sums, tile, column, count, term);
  } else {
    team.for_each(count, [&](std::ptrdiff_t c) { one_column(sums, tile, column + c, term); });
  }
}

template <class T, int K, class Term>
void sum(ExecutionSpace const& exec, std::string const& label, Sums<T, K> const& sums, Term const& term) {
  std::ptrdiff_t const blocks = (sums.width + column_block - 1) / column_block;
  rows(
      exec, label, sums.tiles * blocks, KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t index) {
        sum_block_of_columns(team, sums, index, term);
      });
}

}  // namespace tessera::kernels::columns
