// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Sums down the columns of token rows in the one order that all parameter gradients use. On a host: rows one
// after another in blocks of 32, then the sums of blocks one after another. On a device, which has its own
// order: rows one after another in blocks of 64, then the sums of blocks as sum.hpp adds.
#pragma once

#include "kernels/device_scratch.hpp"
#include "tessera/kernels/launch.hpp"

namespace tessera::kernels::columns {

inline constexpr std::ptrdiff_t row_block = runs_on_host ? 32 : 64;
/// Columns that a host thread sums together: read as one stretch of memory, kept in the first-level cache.
inline constexpr std::ptrdiff_t column_block = 1024;

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

template <class T, int K, class Term>
void sum_on_host(ExecutionSpace const& exec, std::string const& label, Sums<T, K> const& sums,
                 Term const& term) {
  std::ptrdiff_t const blocks = (sums.width + column_block - 1) / column_block;
  rows(exec, label, sums.tiles * blocks, [=](RowTeam const&, std::ptrdiff_t index) {
    std::ptrdiff_t const column = index % blocks * column_block;
    std::ptrdiff_t const left = sums.width - column;
    host_block(sums, index / blocks, column, left < column_block ? left : column_block, term);
  });
}

/// Sums of one column over one block of rows: partial (K, tiles, blocks, width), one element of each K.
template <class T, int K, class Term>
KOKKOS_INLINE_FUNCTION void device_block(Sums<T, K> const& sums, std::ptrdiff_t blocks, std::ptrdiff_t index,
                                         Term const& term, T* partial) {
  std::ptrdiff_t const column = index % sums.width;
  std::ptrdiff_t const tile = index / sums.width / blocks;
  std::ptrdiff_t const row = tile * sums.tile_rows + index / sums.width % blocks * row_block;
  std::ptrdiff_t const end = (tile + 1) * sums.tile_rows;
  std::ptrdiff_t const stop = row + row_block < end ? row + row_block : end;
  T total[K] = {};
  for (std::ptrdiff_t r = row; r < stop; ++r) {
    T value[K];
    term(r, column, value);
    for (int k = 0; k < K; ++k) total[k] += value[k];
  }
  for (int k = 0; k < K; ++k) partial[k * sums.tiles * blocks * sums.width + index] = total[k];
}

/// Two launches: blocks of rows, then their sums.
template <class T, int K, class Term>
void sum_on_device(ExecutionSpace const& exec, std::string const& label, Sums<T, K> const& sums,
                   Term const& term) {
  std::ptrdiff_t const blocks = (sums.tile_rows + row_block - 1) / row_block;
  std::ptrdiff_t const count = sums.tiles * blocks * sums.width;
  T* const partial = device_scratch<T>(exec, K * count);
  elements(
      exec, label, count,
      KOKKOS_LAMBDA(std::ptrdiff_t index) { device_block(sums, blocks, index, term, partial); });
  rows(
      exec, label, K * sums.tiles * sums.width, KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t index) {
        std::ptrdiff_t const column = index % sums.width;
        T const* const from = partial + index / sums.width * blocks * sums.width + column;
        T const total =
            team.template sum<T>(blocks, [&](std::ptrdiff_t block) { return from[block * sums.width]; });
        std::ptrdiff_t const element = index % (sums.tiles * sums.width);
        team.once([&] { put(sums.out[index / (sums.tiles * sums.width)][element], total, sums.accumulate); });
      });
}

template <class T, int K, class Term>
void sum(ExecutionSpace const& exec, std::string const& label, Sums<T, K> const& sums, Term const& term) {
  if constexpr (runs_on_host) {
    sum_on_host(exec, label, sums, term);
  } else {
    sum_on_device(exec, label, sums, term);
  }
}

}  // namespace tessera::kernels::columns
