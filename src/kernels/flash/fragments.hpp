// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Tiles of a head's rows in shared memory, and products of them by a warp. A row of D elements of 16 bits
// takes 2 D + 16 bytes: 16 too many, so that the same columns of 8 rows lie in different banks.
#pragma once

#include <cstddef>

#include "kernels/attention_call.hpp"
#include "kernels/flash/thread.hpp"

namespace tessera::kernels::flash {

using attention::HeadRows;

/// Rows of keys or queries that are brought into shared memory together: a constant of the arithmetic.
inline constexpr int tile = 64;

template <int D>
inline constexpr int row_bytes = 2 * D + 16;
template <int D>
inline constexpr int tile_bytes = tile* row_bytes<D>;

/// Rows a warp owns, as blocks of 16.
template <int blocks, int columns>
using Sums = float[blocks][columns / 8][4];

/// Starts the copies of `rows` rows from `first` on; rows beyond the positions become zeros.
template <int D, int rows, int threads, class E, class Thread>
TESSERA_TILE_FUNCTION void copy_rows(Thread const& thread, HeadRows<E const> from, int first, int positions,
                                     std::uint32_t to) {
  constexpr int chunks = D / 8;
  if constexpr (threads % chunks == 0) {
    // A thread copies one chunk of every so many rows: it counts on from its first.
    constexpr int step = threads / chunks;
    static_assert(rows % step == 0);
    int const row = thread.index() / chunks;
    int const chunk = thread.index() % chunks;
    E const* source = from.data + (first + row) * from.stride + chunk * 8;
    std::uint32_t const target = to + static_cast<std::uint32_t>(row * row_bytes<D> + chunk * 16);
    TESSERA_UNROLL
    for (int round = 0; round < rows / step; ++round) {
      thread.copy(target + static_cast<std::uint32_t>(round * step * row_bytes<D>), source,
                  first + row + round * step < positions);
      source += step * from.stride;
    }
  } else {
    TESSERA_UNROLL
    for (int round = 0; round < (rows * chunks + threads - 1) / threads; ++round) {
      int const index = round * threads + thread.index();
      int const row = index / chunks;
      int const chunk = index % chunks;
      if ((rows * chunks) % threads != 0 && row >= rows) break;
      E const* const source = from.data + (first + row) * from.stride + chunk * 8;
      thread.copy(to + static_cast<std::uint32_t>(row * row_bytes<D> + chunk * 16), source,
                  first + row < positions);
    }
  }
}

/// Where this lane points for the four squares of 16 rows and 16 columns of a tile, in the order in which a
/// product takes them. As left operand, or transposed as right one: down the columns first.
template <int D, class Thread>
TESSERA_TILE_FUNCTION std::uint32_t squares_down(Thread const& thread) {
  return static_cast<std::uint32_t>(thread.lane() % 16 * row_bytes<D> + thread.lane() / 16 * 16);
}
/// As right operand, rows being its columns: along the rows first.
template <int D, class Thread>
TESSERA_TILE_FUNCTION std::uint32_t squares_along(Thread const& thread) {
  int const row = thread.lane() / 16 * 8 + thread.lane() % 8;
  return static_cast<std::uint32_t>(row * row_bytes<D> + thread.lane() / 8 % 2 * 16);
}

/// Offset of 16 x 16 square (row block, column block) of a tile.
template <int D>
TESSERA_TILE_FUNCTION constexpr std::uint32_t square(int row_block, int column_block) {
  return static_cast<std::uint32_t>(row_block * 16 * row_bytes<D> + column_block * 32);
}

/// The left operand of a product, rows (16 M, D), kept in registers. The address contains squares_down.
template <int D, int M>
struct HeldRows {
  static constexpr int row_blocks = M;

  template <class Thread>
  TESSERA_TILE_FUNCTION void load(Thread const& thread, std::uint32_t address) {
    TESSERA_UNROLL
    for (int m = 0; m < M; ++m) {
      TESSERA_UNROLL
      for (int k = 0; k < D / 16; ++k) thread.load_squares(address + square<D>(m, k), words[m][k]);
    }
  }
  template <class Thread>
  TESSERA_TILE_FUNCTION void get(Thread const&, int m, int k, std::uint32_t (&to)[4]) const {
    TESSERA_UNROLL
    for (int i = 0; i < 4; ++i) to[i] = words[m][k][i];
  }

  std::uint32_t words[M][D / 16][4];
};

/// The same, fetched from shared memory whenever it is used.
template <int D, int M>
struct SharedRows {
  static constexpr int row_blocks = M;

  template <class Thread>
  TESSERA_TILE_FUNCTION void load(Thread const&, std::uint32_t at) {
    address = at;
  }
  template <class Thread>
  TESSERA_TILE_FUNCTION void get(Thread const& thread, int m, int k, std::uint32_t (&to)[4]) const {
    thread.load_squares(address + square<D>(m, k), to);
  }

  std::uint32_t address;
};

/// sums (16 M, columns) += left (16 M, D) times the transpose of the rows (columns, D) at `address`, which
/// contains squares_along.
template <int D, class Left, int M, int N, class Thread>
TESSERA_TILE_FUNCTION void add_products_of_rows(Thread const& thread, Left const& left, std::uint32_t address,
                                                float (&sums)[M][N][4]) {
  TESSERA_UNROLL
  for (int k = 0; k < D / 16; ++k) {
    std::uint32_t a[M][4];
    TESSERA_UNROLL
    for (int m = 0; m < M; ++m) left.get(thread, m, k, a[m]);
    TESSERA_UNROLL
    for (int n = 0; n < N / 2; ++n) {
      std::uint32_t b[4];
      thread.load_squares(address + square<D>(n, k), b);
      TESSERA_UNROLL
      for (int m = 0; m < M; ++m) {
        thread.multiply_add(sums[m][2 * n], a[m], b[0], b[1]);
        thread.multiply_add(sums[m][2 * n + 1], a[m], b[2], b[3]);
      }
    }
  }
}

/// sums (16 M, D) += weights (16 M, 16 K) times the rows (16 K, D) at `address`, which contains squares_down.
template <int D, int M, int K, class Thread>
TESSERA_TILE_FUNCTION void add_weighted_rows(Thread const& thread, std::uint32_t const (&weights)[M][K][4],
                                             std::uint32_t address, float (&sums)[M][D / 8][4]) {
  TESSERA_UNROLL
  for (int k = 0; k < K; ++k) {
    TESSERA_UNROLL
    for (int n = 0; n < D / 16; ++n) {
      std::uint32_t b[4];
      thread.load_squares_transposed(address + square<D>(k, n), b);
      TESSERA_UNROLL
      for (int m = 0; m < M; ++m) {
        thread.multiply_add(sums[m][2 * n], weights[m][k], b[0], b[1]);
        thread.multiply_add(sums[m][2 * n + 1], weights[m][k], b[2], b[3]);
      }
    }
  }
}

/// Results of a product as the left operand of the next: where a lane holds them is where it needs them.
template <int M, int K, class Thread>
TESSERA_TILE_FUNCTION void as_weights(Thread const& thread, float const (&sums)[M][2 * K][4],
                                      std::uint32_t (&weights)[M][K][4]) {
  TESSERA_UNROLL
  for (int m = 0; m < M; ++m) {
    TESSERA_UNROLL
    for (int k = 0; k < K; ++k) {
      weights[m][k][0] = thread.pack(sums[m][2 * k][0], sums[m][2 * k][1]);
      weights[m][k][1] = thread.pack(sums[m][2 * k][2], sums[m][2 * k][3]);
      weights[m][k][2] = thread.pack(sums[m][2 * k + 1][0], sums[m][2 * k + 1][1]);
      weights[m][k][3] = thread.pack(sums[m][2 * k + 1][2], sums[m][2 * k + 1][3]);
    }
  }
}

template <int M, int N>
TESSERA_TILE_FUNCTION void clear(float (&sums)[M][N][4]) {
  TESSERA_UNROLL
  for (int m = 0; m < M; ++m) {
    TESSERA_UNROLL
    for (int n = 0; n < N; ++n) {
      TESSERA_UNROLL
      for (int i = 0; i < 4; ++i) sums[m][n][i] = 0;
    }
  }
}

/// Writes a warp's sums (16 M, D), row r times factors[block of 16][r of the lower half or the upper], to
/// rows [first, ...) of a tensor, through the warp's own 16 M rows of shared memory at `staging`.
template <int D, int M, class E, class Thread>
TESSERA_TILE_FUNCTION void write_rows(Thread const& thread, float const (&sums)[M][D / 8][4],
                                      float const (&factors)[M][2], std::uint32_t staging, HeadRows<E> to,
                                      int first, int positions) {
  int const lane = thread.lane();
  std::uint32_t const own = staging + static_cast<std::uint32_t>(lane / 4 * row_bytes<D> + lane % 4 * 4);
  TESSERA_UNROLL
  for (int m = 0; m < M; ++m) {
    TESSERA_UNROLL
    for (int n = 0; n < D / 8; ++n) {
      TESSERA_UNROLL
      for (int half = 0; half < 2; ++half) {
        float const low = sums[m][n][2 * half] * factors[m][half];
        float const high = sums[m][n][2 * half + 1] * factors[m][half];
        thread.store(own + static_cast<std::uint32_t>((16 * m + 8 * half) * row_bytes<D> + 16 * n),
                     thread.pack(low, high));
      }
    }
  }
  thread.warp_barrier();
  constexpr int chunks = D / 8;
  TESSERA_UNROLL
  for (int round = 0; round < 16 * M * chunks / warp_size; ++round) {
    int const index = round * warp_size + lane;
    int const row = index / chunks;
    int const chunk = index % chunks;
    auto const value =
        thread.template load<Chunk>(staging + static_cast<std::uint32_t>(row * row_bytes<D> + chunk * 16));
    if (first + row < positions) {
      *reinterpret_cast<Chunk*>(to.data + (first + row) * to.stride + chunk * 8) = value;
    }
  }
}

}  // namespace tessera::kernels::flash
