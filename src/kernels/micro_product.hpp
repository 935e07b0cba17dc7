// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The register-blocked product that the plain matmul and attention are made of (the micro-kernel of Goto and
// van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008). Host only. An element of the
// result is one chain of fused multiply-adds in increasing k, so its bits do not depend on the blocking in m
// and n.
#pragma once

#include "kernels/simd.hpp"

namespace tessera::kernels::micro {

/// Rows and columns of the block of results that is held in registers.
inline constexpr int block_rows = 8;
template <class T>
inline constexpr int block_columns = 2 * simd::width<T>;

/// A as a product reads it: element (i, k) is at data[i * row + k * column].
template <class T>
struct Left {
  T const* data;
  std::ptrdiff_t row, column;
  [[nodiscard]] Left at(std::ptrdiff_t i, std::ptrdiff_t k) const {
    return {data + i * row + k * column, row, column};
  }
};

/// A row-major matrix with `ld` elements between rows.
template <class T>
struct Rows {
  T* data;
  std::ptrdiff_t ld;
  [[nodiscard]] Rows at(std::ptrdiff_t i, std::ptrdiff_t j) const { return {data + i * ld + j, ld}; }
};

/// C (block_rows, block_columns) = A (.., k) B (k, ..), added to what C holds with `accumulate`.
template <class T>
[[gnu::always_inline]] inline void block(std::ptrdiff_t k, Left<T> a, Rows<T const> b, Rows<T> c,
                                         bool accumulate) {
  constexpr int vectors = 2;
  simd::Vec<T> acc[block_rows][vectors];
#pragma GCC unroll 8
  for (int i = 0; i < block_rows; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) {
      acc[i][v] = accumulate ? simd::load(c.at(i, v * simd::width<T>).data) : simd::Vec<T>{};
    }
  }
  for (std::ptrdiff_t p = 0; p < k; ++p) {
    simd::Vec<T> const b0 = simd::load(b.data + p * b.ld);
    simd::Vec<T> const b1 = simd::load(b.data + p * b.ld + simd::width<T>);
#pragma GCC unroll 8
    for (int i = 0; i < block_rows; ++i) {
      simd::Vec<T> const x = simd::broadcast(a.data[i * a.row + p * a.column]);
      simd::fma_into<T>(x, b0, acc[i][0]);
      simd::fma_into<T>(x, b1, acc[i][1]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < block_rows; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) simd::store(c.at(i, v * simd::width<T>).data, acc[i][v]);
  }
}

/// C (m, n) = A (m, k) B (k, n), added to C with `accumulate`; m and n are multiples of the block.
template <class T>
void product(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, Left<T> a, Rows<T const> b, Rows<T> c,
             bool accumulate) {
  for (std::ptrdiff_t j = 0; j < n; j += block_columns<T>) {
    for (std::ptrdiff_t i = 0; i < m; i += block_rows) {
      block<T>(k, a.at(i, 0), b.at(0, j), c.at(i, j), accumulate);
    }
  }
}

}  // namespace tessera::kernels::micro
