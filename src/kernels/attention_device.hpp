// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Attention on any execution space, in its plainest form: one thread an element of the result, which forms
// the scores it needs again. No memory but the results, no order among threads that could change a bit.
#pragma once

#include <limits>

#include "kernels/attention_call.hpp"
#include "tessera/kernels/launch.hpp"

namespace tessera::kernels::attention {

/// The rows of one (sequence, head), and its probabilities.
template <class T>
struct DeviceHead {
  KOKKOS_INLINE_FUNCTION DeviceHead(AttentionShape const& call_shape, T const* qkv, Place place,
                                    DropoutHeads const& dropout)
      : shape(call_shape),
        queries(head_rows(shape, qkv, 3 * shape.heads * shape.head_size, place, 0)),
        keys(head_rows(shape, qkv, 3 * shape.heads * shape.head_size, place, 1)),
        values(head_rows(shape, qkv, 3 * shape.heads * shape.head_size, place, 2)),
        first(first_probability(shape, dropout, place)) {}

  [[nodiscard]] KOKKOS_INLINE_FUNCTION T dot(HeadRows<T const> a, std::ptrdiff_t i, HeadRows<T const> b,
                                             std::ptrdiff_t j) const {
    T sum = 0;
    for (std::ptrdiff_t d = 0; d < shape.head_size; ++d) {
      sum = math::fma(a.data[i * a.stride + d], b.data[j * b.stride + d], sum);
    }
    return sum;
  }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION T score(std::ptrdiff_t i, std::ptrdiff_t j) const {
    return score_scale<T>(shape) * dot(queries, i, keys, j);
  }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION T factor(DropoutFactors const& factors, std::ptrdiff_t i,
                                                std::ptrdiff_t j) const {
    auto const index = first + static_cast<std::uint64_t>(i * shape.positions + j);
    return factors.active() ? factors.of<T>(factors.site().bits(index)) : T(1);
  }

  AttentionShape shape;
  HeadRows<T const> queries, keys, values;
  std::uint64_t first;
};

/// Row (head, sequence, i) of log_sum_exp, by one thread.
template <class T>
KOKKOS_INLINE_FUNCTION void log_sum_exp_of_row(Forward<T> const& f, std::ptrdiff_t row) {
  std::ptrdiff_t const i = row % f.shape.positions;
  std::ptrdiff_t const pair = row / f.shape.positions;
  DeviceHead<T> const head(f.shape, f.qkv, {pair % f.shape.batch, pair / f.shape.batch}, f.dropout);
  constexpr T infinity = std::numeric_limits<T>::infinity();
  T const most = lane_max<T>(i + 1, -infinity, [&](std::ptrdiff_t j) { return head.score(i, j); });
  T const sum = lane_sum<T>(i + 1, [&](std::ptrdiff_t j) { return math::exp(head.score(i, j) - most); });
  f.log_sum_exp[row] = most + math::log(sum);
}

/// Where element `index` of a tensor (S*B, heads * head_size) lies.
struct OutElement {
  Place place;
  std::ptrdiff_t position, d;
};
KOKKOS_INLINE_FUNCTION OutElement out_element(AttentionShape const& shape, std::ptrdiff_t index) {
  std::ptrdiff_t const width = shape.heads * shape.head_size;
  std::ptrdiff_t const row = index / width;
  std::ptrdiff_t const column = index % width;
  return {{row % shape.batch, column / shape.head_size}, row / shape.batch, column % shape.head_size};
}

template <class T>
KOKKOS_INLINE_FUNCTION T log_sum_exp_at(AttentionShape const& shape, T const* log_sum_exp, Place place,
                                        std::ptrdiff_t i) {
  return log_sum_exp[(place.head * shape.batch + place.sequence) * shape.positions + i];
}

template <class T>
KOKKOS_INLINE_FUNCTION void forward_element(Forward<T> const& f, std::ptrdiff_t index) {
  auto const [place, i, d] = out_element(f.shape, index);
  DeviceHead<T> const head(f.shape, f.qkv, place, f.dropout);
  T const log_sum_exp = log_sum_exp_at<T>(f.shape, f.log_sum_exp, place, i);
  T sum = 0;
  for (std::ptrdiff_t j = 0; j <= i; ++j) {
    T const p = math::exp(head.score(i, j) - log_sum_exp) * head.factor(f.factors, i, j);
    sum = math::fma(p, head.values.data[j * head.values.stride + d], sum);
  }
  f.out[index] = sum;
}

template <class T>
void forward_on_device(ExecutionSpace const& exec, std::string const& label, Forward<T> const& f) {
  std::ptrdiff_t const rows_in_all = f.shape.heads * f.shape.batch * f.shape.positions;
  elements(
      exec, label, rows_in_all, KOKKOS_LAMBDA(std::ptrdiff_t row) { log_sum_exp_of_row(f, row); });
  elements(
      exec, label, rows_in_all * f.shape.head_size,
      KOKKOS_LAMBDA(std::ptrdiff_t index) { forward_element(f, index); });
}

/// A pair's probability as dropped, and the gradient of its score.
template <class T>
struct PairGradient {
  T probability, slope;
};

template <class T>
KOKKOS_INLINE_FUNCTION PairGradient<T> pair_gradient(Backward<T> const& b, DeviceHead<T> const& head,
                                                     Place place, std::ptrdiff_t i, std::ptrdiff_t j) {
  std::ptrdiff_t const width = b.shape.heads * b.shape.head_size;
  auto const douts = head_rows(b.shape, b.dout, width, place, 0);
  auto const outs = head_rows(b.shape, b.out, width, place, 0);
  T const factor = head.factor(b.factors, i, j);
  T const p = math::exp(head.score(i, j) - log_sum_exp_at<T>(b.shape, b.log_sum_exp, place, i));
  T const slope = p * (head.dot(douts, i, head.values, j) * factor - head.dot(douts, i, outs, i));
  return {p * factor, slope * score_scale<T>(b.shape)};
}

/// Element `index` of the gradients of q, k and v.
template <class T>
KOKKOS_INLINE_FUNCTION void backward_element(Backward<T> const& b, std::ptrdiff_t index) {
  auto const [place, s, d] = out_element(b.shape, index);
  DeviceHead<T> const head(b.shape, b.qkv, place, b.dropout);
  std::ptrdiff_t const width = b.shape.heads * b.shape.head_size;
  auto const douts = head_rows(b.shape, b.dout, width, place, 0);
  T gradients[3] = {};
  for (std::ptrdiff_t j = 0; j <= s; ++j) {
    T const slope = pair_gradient(b, head, place, s, j).slope;
    gradients[0] = math::fma(slope, head.keys.data[j * head.keys.stride + d], gradients[0]);
  }
  for (std::ptrdiff_t i = s; i < b.shape.positions; ++i) {
    auto const pair = pair_gradient(b, head, place, i, s);
    gradients[1] = math::fma(pair.slope, head.queries.data[i * head.queries.stride + d], gradients[1]);
    gradients[2] = math::fma(pair.probability, douts.data[i * douts.stride + d], gradients[2]);
  }
  for (int part = 0; part < 3; ++part) {
    auto const row = head_rows(b.shape, b.dqkv, 3 * width, place, part);
    row.data[s * row.stride + d] = gradients[part];
  }
}

template <class T>
void backward_on_device(ExecutionSpace const& exec, std::string const& label, Backward<T> const& b) {
  elements(
      exec, label, b.shape.batch * b.shape.positions * b.shape.heads * b.shape.head_size,
      KOKKOS_LAMBDA(std::ptrdiff_t index) { backward_element(b, index); });
}

}  // namespace tessera::kernels::attention
