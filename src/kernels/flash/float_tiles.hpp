// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Tiles of a head's rows in shared memory as float, and products of them by a block of 256 threads: as many
// rows as `tile` times D columns, filled up with zeros. A row takes D + 4 numbers, so that the same 4 columns
// of 8 rows lie in different banks. Thread (y, x) of 16 x 16 holds 4 rows 4 y ... 4 y + 3 of a result.
#pragma once

#include "kernels/attention_call.hpp"
#include "kernels/flash/thread.hpp"

namespace tessera::kernels::flash {

using attention::HeadRows;

/// Rows of queries or keys of a tile of floats.
inline constexpr int float_tile = 64;
inline constexpr int float_threads = 256;

template <int columns>
inline constexpr int float_stride = columns + 4;
template <int columns>
inline constexpr std::uint32_t float_tile_bytes = float_tile* float_stride<columns> * 4;

struct alignas(16) Four {
  float value[4];
};

template <class Thread>
TESSERA_TILE_FUNCTION int row_of(Thread const& thread) {
  return thread.index() / 16 * 4;
}
template <class Thread>
TESSERA_TILE_FUNCTION int column_of(Thread const& thread) {
  return thread.index() % 16;
}

template <int columns>
TESSERA_TILE_FUNCTION constexpr std::uint32_t float_at(int row, int column) {
  return static_cast<std::uint32_t>((row * float_stride<columns> + column) * 4);
}

/// Rows [first, first + float_tile) of `size` columns; zeros beyond the positions and beyond the size.
template <int D, class Thread>
TESSERA_TILE_FUNCTION void load_float_rows(Thread const& thread, HeadRows<float const> from, int first,
                                           int positions, int size, std::uint32_t to) {
  for (int index = thread.index(); index < float_tile * D; index += float_threads) {
    int const row = index / D;
    int const column = index % D;
    bool const there = first + row < positions && column < size;
    thread.store(to + float_at<D>(row, column),
                 there ? from.data[(first + row) * from.stride + column] : 0.0F);
  }
}

/// result[i][n] = sum over k < depth of a[4 y + i][k] b[x + 16 n][k]; depth is a multiple of 4.
template <int D, class Thread>
TESSERA_TILE_FUNCTION void products_of_float_rows(Thread const& thread, int depth, std::uint32_t a,
                                                  std::uint32_t b, float (&result)[4][4]) {
  TESSERA_UNROLL
  for (int i = 0; i < 4; ++i) {
    TESSERA_UNROLL
    for (int n = 0; n < 4; ++n) result[i][n] = 0;
  }
  std::uint32_t const left = a + float_at<D>(row_of(thread), 0);
  std::uint32_t const right = b + float_at<D>(column_of(thread), 0);
  TESSERA_KEEP_LOOP
  for (int k = 0; k < depth; k += 4) {
    Four rows[4];
    TESSERA_UNROLL
    for (int i = 0; i < 4; ++i) rows[i] = thread.template load<Four>(left + float_at<D>(i, k));
    TESSERA_UNROLL
    for (int n = 0; n < 4; ++n) {
      auto const other = thread.template load<Four>(right + float_at<D>(16 * n, k));
      TESSERA_UNROLL
      for (int i = 0; i < 4; ++i) {
        TESSERA_UNROLL
        for (int e = 0; e < 4; ++e) result[i][n] = math::fma(rows[i].value[e], other.value[e], result[i][n]);
      }
    }
  }
}

/// sums[i][n] += sum over k < float_tile of weights[4 y + i][k] rows[k][4 x + 64 (n / 4) + n % 4].
template <int D, class Thread>
TESSERA_TILE_FUNCTION void add_weighted_float_rows(Thread const& thread, std::uint32_t weights,
                                                   std::uint32_t rows, float (&sums)[4][D / 16]) {
  std::uint32_t const left = weights + float_at<float_tile>(row_of(thread), 0);
  std::uint32_t const right = rows + float_at<D>(0, 4 * column_of(thread));
  TESSERA_KEEP_LOOP
  for (int k = 0; k < float_tile; k += 4) {
    Four weight[4];
    TESSERA_UNROLL
    for (int i = 0; i < 4; ++i) weight[i] = thread.template load<Four>(left + float_at<float_tile>(i, k));
    TESSERA_UNROLL
    for (int e = 0; e < 4; ++e) {
      TESSERA_UNROLL
      for (int group = 0; group < D / 64; ++group) {
        auto const row = thread.template load<Four>(right + float_at<D>(k + e, 64 * group));
        TESSERA_UNROLL
        for (int i = 0; i < 4; ++i) {
          TESSERA_UNROLL
          for (int c = 0; c < 4; ++c)
            sums[i][4 * group + c] = math::fma(weight[i].value[e], row.value[c], sums[i][4 * group + c]);
        }
      }
    }
  }
}

/// Stores a result of products_of_float_rows as weights of add_weighted_float_rows.
template <class Thread>
TESSERA_TILE_FUNCTION void store_weights(Thread const& thread, float const (&result)[4][4],
                                         std::uint32_t to) {
  TESSERA_UNROLL
  for (int i = 0; i < 4; ++i) {
    TESSERA_UNROLL
    for (int n = 0; n < 4; ++n)
      thread.store(to + float_at<float_tile>(row_of(thread) + i, column_of(thread) + 16 * n), result[i][n]);
  }
}

/// Writes sums (rows, D), row i times factors[i], to rows [first, ...) of `size` columns.
template <int D, class Thread>
TESSERA_TILE_FUNCTION void write_float_rows(Thread const& thread, float const (&sums)[4][D / 16],
                                            float const (&factors)[4], HeadRows<float> to, int first,
                                            int positions, int size) {
  TESSERA_UNROLL
  for (int i = 0; i < 4; ++i) {
    int const row = first + row_of(thread) + i;
    TESSERA_UNROLL
    for (int n = 0; n < D / 16; ++n) {
      int const column = 4 * column_of(thread) + 64 * (n / 4) + n % 4;
      if (row < positions && column < size) to.data[row * to.stride + column] = sums[i][n] * factors[i];
    }
  }
}

template <int N>
TESSERA_TILE_FUNCTION void clear(float (&sums)[4][N]) {
  TESSERA_UNROLL
  for (int i = 0; i < 4; ++i) {
    TESSERA_UNROLL
    for (int n = 0; n < N; ++n) sums[i][n] = 0;
  }
}

/// The head size as a number of columns to multiply over: what it is filled up to is zero.
TESSERA_TILE_FUNCTION int depth_of(AttentionShape const& shape) {
  return (static_cast<int>(shape.head_size) + 3) / 4 * 4;
}

}  // namespace tessera::kernels::flash
