// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/kernels/matmul.hpp"

namespace tessera::cublas {

/// A product as libraries of column-major matrices count it: C (m, n) = op(A) (m, k) op(B) (k, n), where
/// column j of a matrix begins `ld` elements after column j - 1.
struct ColumnMajor {
  bool transpose_a = false, transpose_b = false;
  std::ptrdiff_t m = 0, n = 0, k = 0;
  std::ptrdiff_t lda = 0, ldb = 0, ldc = 0;
};

/// The same product with its operands exchanged: a row-major matrix read by columns is its transpose, and
/// C^T = op(B)^T op(A)^T. So A of the result is B of `shape`, and C stays where it is.
[[nodiscard]] ColumnMajor column_major(kernels::MatmulShape const& shape);

/// Bytes that the starts of a matrix's tiles are certain to be multiples of, by its leading dimension alone:
/// 16 at most. Nothing about where a call's operands lie may decide how they are multiplied.
[[nodiscard]] unsigned alignment_of(std::ptrdiff_t ld, std::size_t element_bytes);

}  // namespace tessera::cublas
