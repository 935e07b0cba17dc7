// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "kernels/reference/reference.hpp"

namespace tessera::kernels::reference {

namespace {

struct Statistics {
  double mean, rstd;
};

Statistics statistics(double const* x, std::size_t d, double epsilon) {
  double mean = 0;
  for (std::size_t i = 0; i < d; ++i) mean += x[i];
  mean /= static_cast<double>(d);
  double variance = 0;
  for (std::size_t i = 0; i < d; ++i) variance += (x[i] - mean) * (x[i] - mean);
  return {mean, 1 / std::sqrt(variance / static_cast<double>(d) + epsilon)};
}

}  // namespace

LayerNorm layer_norm(Tensor const& x, Tensor const& gamma, Tensor const& beta, double epsilon) {
  std::size_t const d = gamma.size();
  std::size_t const n = x.size() / d;
  LayerNorm result{Tensor(x.size()), Tensor(n), Tensor(n)};
  for (std::size_t r = 0; r < n; ++r) {
    auto const [mean, rstd] = statistics(&x[r * d], d, epsilon);
    result.mean[r] = mean;
    result.rstd[r] = rstd;
    for (std::size_t i = 0; i < d; ++i)
      result.y[r * d + i] = (x[r * d + i] - mean) * rstd * gamma[i] + beta[i];
  }
  return result;
}

LayerNormGradients layer_norm_gradients(Tensor const& dy, Tensor const& x, Tensor const& gamma,
                                        double epsilon, std::size_t tiles) {
  std::size_t const d = gamma.size();
  std::size_t const n = x.size() / d;
  LayerNormGradients result{Tensor(x.size()), Tensor(tiles * d), Tensor(tiles * d)};
  for (std::size_t r = 0; r < n; ++r) {
    auto const [mean, rstd] = statistics(&x[r * d], d, epsilon);
    std::size_t const tile = r / (n / tiles);
    double sum = 0;
    double dot = 0;
    for (std::size_t i = 0; i < d; ++i) {
      double const h = (x[r * d + i] - mean) * rstd;
      sum += dy[r * d + i] * gamma[i];
      dot += dy[r * d + i] * gamma[i] * h;
      result.dgamma[tile * d + i] += dy[r * d + i] * h;
      result.dbeta[tile * d + i] += dy[r * d + i];
    }
    for (std::size_t i = 0; i < d; ++i) {
      double const h = (x[r * d + i] - mean) * rstd;
      result.dx[r * d + i] =
          rstd * (dy[r * d + i] * gamma[i] - sum / static_cast<double>(d) - h * dot / static_cast<double>(d));
    }
  }
  return result;
}

Tensor column_sums(Tensor const& x, std::size_t width, std::size_t tiles) {
  std::size_t const n = x.size() / width;
  Tensor sums(tiles * width);
  for (std::size_t r = 0; r < n; ++r) {
    for (std::size_t c = 0; c < width; ++c) sums[r / (n / tiles) * width + c] += x[r * width + c];
  }
  return sums;
}

Tensor bias_dropout_add(Tensor const& branch, Tensor const& bias, Tensor const& residual,
                        Tensor const& factors) {
  Tensor out(branch.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = residual[i] + factors[i] * (branch[i] + bias[i % bias.size()]);
  }
  return out;
}

// In long double: 1 - tanh^2 cancels, and a truth must be truer than what it judges.
double gelu(double x) {
  long double const root_two_over_pi = std::sqrt(2 / std::acos(-1.0L));
  long double const y = x;
  return static_cast<double>(y / 2 * (1 + std::tanh(root_two_over_pi * (y + 0.044715L * y * y * y))));
}

double gelu_slope(double x) {
  long double const root_two_over_pi = std::sqrt(2 / std::acos(-1.0L));
  long double const y = x;
  long double const t = std::tanh(root_two_over_pi * (y + 0.044715L * y * y * y));
  long double const slope = root_two_over_pi * (1 + 3 * 0.044715L * y * y);
  return static_cast<double>((1 + t) / 2 + y / 2 * (1 - t * t) * slope);
}

AdamwState adamw(AdamwState const& state, double gradient, double learning_rate, double beta1, double beta2,
                 double epsilon, double weight_decay, int step) {
  double const first = beta1 * state.first + (1 - beta1) * gradient;
  double const second = beta2 * state.second + (1 - beta2) * gradient * gradient;
  double const first_unbiased = first / (1 - std::pow(beta1, step));
  double const second_unbiased = second / (1 - std::pow(beta2, step));
  double const direction =
      first_unbiased / (std::sqrt(second_unbiased) + epsilon) + weight_decay * state.parameter;
  return {state.parameter - learning_rate * direction, first, second};
}

}  // namespace tessera::kernels::reference
