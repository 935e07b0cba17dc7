// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "column_major.hpp"

namespace tessera::cublas {

ColumnMajor column_major(kernels::MatmulShape const& s) {
  return {s.transpose_b == kernels::Transpose::yes,
          s.transpose_a == kernels::Transpose::yes,
          s.n,
          s.m,
          s.k,
          s.ldb,
          s.lda,
          s.ldc};
}

unsigned alignment_of(std::ptrdiff_t ld, std::size_t element_bytes) {
  auto const row_bytes = static_cast<std::size_t>(ld) * element_bytes;
  unsigned alignment = 16;
  while (row_bytes % alignment != 0) alignment /= 2;
  return alignment;
}

}  // namespace tessera::cublas
