// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "kernels/reference/reference.hpp"

namespace tessera::kernels::reference {

void matmul(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k, Tensor const& a,
            Tensor const& b, double beta, Tensor& c) {
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::size_t p = 0; p < k; ++p) {
        sum += (transpose_a ? a[p * m + i] : a[i * k + p]) * (transpose_b ? b[j * k + p] : b[p * n + j]);
      }
      c[i * n + j] = sum + (beta == 0 ? 0.0 : beta * c[i * n + j]);
    }
  }
}

}  // namespace tessera::kernels::reference
