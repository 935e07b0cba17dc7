// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A product handed over column by column is the row-major product that was asked for.
#include "column_major.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/reference/reference.hpp"
#include "plan.hpp"

namespace tessera::cublas {

namespace {

using kernels::MatmulShape;
using kernels::Transpose;
using kernels::reference::Tensor;

/// The product as the library defines it: element (i, j) of a matrix at i + j * ld.
void multiply(ColumnMajor const& p, Tensor const& a, Tensor const& b, Tensor& c) {
  for (std::ptrdiff_t i = 0; i < p.m; ++i) {
    for (std::ptrdiff_t j = 0; j < p.n; ++j) {
      double sum = 0;
      for (std::ptrdiff_t k = 0; k < p.k; ++k) {
        double const x = a[static_cast<std::size_t>(p.transpose_a ? k + i * p.lda : i + k * p.lda)];
        double const y = b[static_cast<std::size_t>(p.transpose_b ? j + k * p.ldb : k + j * p.ldb)];
        sum += x * y;
      }
      c[static_cast<std::size_t>(i + j * p.ldc)] = sum;
    }
  }
}

Tensor numbered(std::ptrdiff_t count, int first) {
  Tensor tensor(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < tensor.size(); ++i) tensor[i] = static_cast<double>((first + 7 * i) % 11) - 5;
  return tensor;
}

TEST(CublasColumnMajor, ProductsAreTheRowMajorOnes) {
  std::ptrdiff_t const m = 3, n = 5, k = 4;
  for (bool const ta : {false, true}) {
    for (bool const tb : {false, true}) {
      MatmulShape const shape{ta ? Transpose::yes : Transpose::no,
                              tb ? Transpose::yes : Transpose::no,
                              m,
                              n,
                              k,
                              ta ? m : k,
                              tb ? k : n,
                              n};
      Tensor const a = numbered(m * k, 1), b = numbered(k * n, 3);
      Tensor expected(static_cast<std::size_t>(m * n)), c(static_cast<std::size_t>(m * n));
      kernels::reference::matmul(ta, tb, m, n, k, a, b, 0, expected);
      multiply(column_major(shape), b, a, c);
      EXPECT_EQ(c, expected) << "transposes " << ta << tb;
    }
  }
}

TEST(CublasColumnMajor, AlignmentComesFromTheLeadingDimensionAlone) {
  EXPECT_EQ(alignment_of(768, 2), 16U);
  EXPECT_EQ(alignment_of(12, 2), 8U);
  EXPECT_EQ(alignment_of(129, 4), 4U);
  EXPECT_EQ(alignment_of(3, 2), 2U);
}

TEST(CublasColumnMajor, ProblemsAreOneWhereAllThatDecidesAnAlgorithmIsEqual) {
  Problem const one{DType::bf16, DType::f32, false, {Transpose::no, Transpose::yes, 8, 16, 32, 32, 32, 16}};
  auto const same = one;
  EXPECT_FALSE(one < same || same < one);
  auto other = one;
  other.shape.ldc = 24;
  EXPECT_TRUE(one < other || other < one);
  other = one;
  other.result = DType::bf16;
  EXPECT_TRUE(one < other || other < one);
  other = one;
  other.shape.transpose_a = Transpose::yes;
  EXPECT_TRUE(one < other || other < one);
}

}  // namespace

}  // namespace tessera::cublas
