// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The truth for tests: each operation as plain serial loops in double over vectors, written from its
// formula with no thought for speed and sharing no code with the kernels. Tensors are row-major with the
// shapes of the kernels' headers; masks of dropout are given as factors, one an element.
#pragma once

#include <cstddef>
#include <cstdint>
#include "kernels/reference/buffer.hpp"

namespace tessera::kernels::reference {

using Tensor = Buffer<double>;

/// C (m, n) = op(A) op(B) + beta C, all without gaps between rows.
void matmul(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k, Tensor const& a,
            Tensor const& b, double beta, Tensor& c);

/// Layer norm of rows (n, d).
struct LayerNorm {
  Tensor y, mean, rstd;
};
LayerNorm layer_norm(Tensor const& x, Tensor const& gamma, Tensor const& beta, double epsilon);

/// Gradients of layer_norm; dgamma and dbeta are (tiles, d).
struct LayerNormGradients {
  Tensor dx, dgamma, dbeta;
};
LayerNormGradients layer_norm_gradients(Tensor const& dy, Tensor const& x, Tensor const& gamma,
                                        double epsilon, std::size_t tiles);

/// Sums of the columns of x (n, width) by `tiles` runs of rows.
Tensor column_sums(Tensor const& x, std::size_t width, std::size_t tiles);

/// residual + factor (branch + bias), element by element.
Tensor bias_dropout_add(Tensor const& branch, Tensor const& bias, Tensor const& residual,
                        Tensor const& factors);

double gelu(double x);
double gelu_slope(double x);

/// Rows of `table` (rows, d) for tokens in [first_row, first_row + rows), zero rows for others.
Tensor embedding(Buffer<std::int32_t> const& tokens, Tensor const& table, std::size_t d,
                 std::int64_t first_row);

/// The gradient of the table.
Tensor embedding_gradient(Buffer<std::int32_t> const& tokens, Tensor const& dy, std::size_t rows,
                          std::size_t d, std::int64_t first_row);

/// Softmax cross entropy of logits (n, width) of which `valid` columns count: loss (n) and scale times its
/// gradient.
struct CrossEntropy {
  Tensor loss, gradient;
};
CrossEntropy cross_entropy(Tensor const& logits, std::size_t width, std::size_t valid,
                           Buffer<std::int32_t> const& targets, double scale);

/// Sizes of an attention call, as in kernels/attention.hpp.
struct AttentionSizes {
  std::size_t batch, positions, heads, head_size;
};

/// out (S*B, heads * head_size) and log_sum_exp (heads, B, S); factors (B, heads, S, S).
struct Attention {
  Tensor out, log_sum_exp;
};
Attention attention(AttentionSizes const& sizes, Tensor const& qkv, Tensor const& factors);
Tensor attention_gradient(AttentionSizes const& sizes, Tensor const& qkv, Tensor const& dout,
                          Tensor const& factors);

/// One element's AdamW step.
struct AdamwState {
  double parameter, first, second;
};
AdamwState adamw(AdamwState const& state, double gradient, double learning_rate, double beta1, double beta2,
                 double epsilon, double weight_decay, int step);

}  // namespace tessera::kernels::reference
