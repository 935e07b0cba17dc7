// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "kernels/reference/reference.hpp"

namespace tessera::kernels::reference {

namespace {

/// Where the vectors of one (sequence b, head h) lie.
struct Head {
  AttentionSizes sizes;
  std::size_t b, h;

  /// Index of element d of q (part 0), k (1) or v (2) at position s.
  [[nodiscard]] std::size_t qkv(int part, std::size_t s, std::size_t d) const {
    std::size_t const column = (static_cast<std::size_t>(part) * sizes.heads + h) * sizes.head_size + d;
    return (s * sizes.batch + b) * 3 * sizes.heads * sizes.head_size + column;
  }
  [[nodiscard]] std::size_t out(std::size_t s, std::size_t d) const {
    return (s * sizes.batch + b) * sizes.heads * sizes.head_size + h * sizes.head_size + d;
  }
  [[nodiscard]] std::size_t factor(std::size_t i, std::size_t j) const {
    return ((b * sizes.heads + h) * sizes.positions + i) * sizes.positions + j;
  }
  [[nodiscard]] std::size_t log_sum_exp(std::size_t s) const {
    return (h * sizes.batch + b) * sizes.positions + s;
  }
};

/// Probabilities of keys 0..i for query i, before dropout, and the logarithm of their common denominator.
double softmax_row(Head const& head, Tensor const& qkv, std::size_t i, Tensor& p) {
  p.assign(i + 1, 0);
  for (std::size_t j = 0; j <= i; ++j) {
    for (std::size_t d = 0; d < head.sizes.head_size; ++d)
      p[j] += qkv[head.qkv(0, i, d)] * qkv[head.qkv(1, j, d)];
    p[j] /= std::sqrt(static_cast<double>(head.sizes.head_size));
  }
  double const maximum = *std::max_element(p.begin(), p.end());
  double sum = 0;
  for (double& x : p) sum += x = std::exp(x - maximum);
  for (double& x : p) x /= sum;
  return maximum + std::log(sum);
}

void gradient_of_row(Head const& head, Tensor const& qkv, Tensor const& dout, Tensor const& factors,
                     std::size_t i, Tensor& dqkv) {
  Tensor p;
  softmax_row(head, qkv, i, p);
  Tensor dp(i + 1);
  double dot = 0;
  for (std::size_t j = 0; j <= i; ++j) {
    double const factor = factors[head.factor(i, j)];
    for (std::size_t d = 0; d < head.sizes.head_size; ++d) {
      dp[j] += factor * dout[head.out(i, d)] * qkv[head.qkv(2, j, d)];
      dqkv[head.qkv(2, j, d)] += factor * p[j] * dout[head.out(i, d)];
    }
    dot += p[j] * dp[j];
  }
  for (std::size_t j = 0; j <= i; ++j) {
    double const ds = p[j] * (dp[j] - dot) / std::sqrt(static_cast<double>(head.sizes.head_size));
    for (std::size_t d = 0; d < head.sizes.head_size; ++d) {
      dqkv[head.qkv(0, i, d)] += ds * qkv[head.qkv(1, j, d)];
      dqkv[head.qkv(1, j, d)] += ds * qkv[head.qkv(0, i, d)];
    }
  }
}

}  // namespace

Attention attention(AttentionSizes const& sizes, Tensor const& qkv, Tensor const& factors) {
  Attention result{Tensor(qkv.size() / 3), Tensor(sizes.heads * sizes.batch * sizes.positions)};
  Tensor p;
  for (std::size_t b = 0; b < sizes.batch; ++b) {
    for (std::size_t h = 0; h < sizes.heads; ++h) {
      Head const head{sizes, b, h};
      for (std::size_t i = 0; i < sizes.positions; ++i) {
        result.log_sum_exp[head.log_sum_exp(i)] = softmax_row(head, qkv, i, p);
        for (std::size_t j = 0; j <= i; ++j) {
          for (std::size_t d = 0; d < sizes.head_size; ++d) {
            result.out[head.out(i, d)] += factors[head.factor(i, j)] * p[j] * qkv[head.qkv(2, j, d)];
          }
        }
      }
    }
  }
  return result;
}

Tensor attention_gradient(AttentionSizes const& sizes, Tensor const& qkv, Tensor const& dout,
                          Tensor const& factors) {
  Tensor dqkv(qkv.size());
  for (std::size_t b = 0; b < sizes.batch; ++b) {
    for (std::size_t h = 0; h < sizes.heads; ++h) {
      for (std::size_t i = 0; i < sizes.positions; ++i) {
        gradient_of_row(Head{sizes, b, h}, qkv, dout, factors, i, dqkv);
      }
    }
  }
  return dqkv;
}

}  // namespace tessera::kernels::reference
