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
  using W = Wide<T>;

  KOKKOS_INLINE_FUNCTION DeviceHead(AttentionShape const& call_shape, T const* qkv, Place place,
                                    DropoutHeads const& dropout)
      : shape(call_shape),
        queries(head_rows(shape, qkv, 3 * shape.heads * shape.head_size, place, 0)),
        keys(head_rows(shape, qkv, 3 * shape.heads * shape.head_size, place, 1)),
        values(head_rows(shape, qkv, 3 * shape.heads * shape.head_size, place, 2)),
        first(first_probability(shape, dropout, place)) {}

  [[nodiscard]] KOKKOS_INLINE_FUNCTION W dot(HeadRows<T const> a, std::ptrdiff_t i, HeadRows<T const> b,
                                             std::ptrdiff_t j) const {
    W sum = 0;
    for (std::ptrdiff_t d = 0; d < shape.head_size; ++d) {
      sum = math::fma(W(a.data[i * a.stride + d]), W(b.data[j * b.stride + d]), sum);
    }
    return sum;
  }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION W score(std::ptrdiff_t i, std::ptrdiff_t j) const {
    return score_scale<W>(shape) * dot(queries, i, keys, j);
  }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION W factor(DropoutFactors const& factors, std::ptrdiff_t i,
                                                std::ptrdiff_t j) const {
    auto const index = first + static_cast<std::uint64_t>(i * shape.positions + j);
    return factors.active() ? factors.of<W>(factors.site().bits(index)) : W(1);
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
  using W = Wide<T>;
  constexpr W infinity = std::numeric_limits<W>::infinity();
  W const most = lane_max<W>(i + 1, -infinity, [&](std::ptrdiff_t j) { return head.score(i, j); });
  W const sum = lane_sum<W>(i + 1, [&](std::ptrdiff_t j) { return math::exp(head.score(i, j) - most); });
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

template <class W>
KOKKOS_INLINE_FUNCTION W log_sum_exp_at(AttentionShape const& shape, W const* log_sum_exp, Place place,
                                        std::ptrdiff_t i) {
  return log_sum_exp[(place.head * shape.batch + place.sequence) * shape.positions + i];
}

template <class T>
KOKKOS_INLINE_FUNCTION void forward_element(Forward<T> const& f, std::ptrdiff_t index) {
  auto const [place, i, d] = out_element(f.shape, index);
  DeviceHead<T> const head(f.shape, f.qkv, place, f.dropout);
  using W = Wide<T>;
  W const log_sum_exp = log_sum_exp_at<W>(f.shape, f.log_sum_exp, place, i);
  W sum = 0;
  for (std::ptrdiff_t j = 0; j <= i; ++j) {
    W const p = math::exp(head.score(i, j) - log_sum_exp) * head.factor(f.factors, i, j);
    sum = math::fma(p, W(head.values.data[j * head.values.stride + d]), sum);
  }
  f.out[index] = static_cast<T>(sum);
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
template <class W>
struct PairGradient {
  W probability, slope;
};

template <class T>
KOKKOS_INLINE_FUNCTION PairGradient<Wide<T>> pair_gradient(Backward<T> const& b, DeviceHead<T> const& head,
                                                           Place place, std::ptrdiff_t i, std::ptrdiff_t j) {
  std::ptrdiff_t const width = b.shape.heads * b.shape.head_size;
  auto const douts = head_rows(b.shape, b.dout, width, place, 0);
  auto const outs = head_rows(b.shape, b.out, width, place, 0);
  using W = Wide<T>;
  W const factor = head.factor(b.factors, i, j);
  W const p = math::exp(head.score(i, j) - log_sum_exp_at<W>(b.shape, b.log_sum_exp, place, i));
  W const slope = p * (head.dot(douts, i, head.values, j) * factor - head.dot(douts, i, outs, i));
  return {p * factor, slope * score_scale<W>(b.shape)};
}

/// Element `index` of the gradients of q, k and v.
template <class T>
KOKKOS_INLINE_FUNCTION void backward_element(Backward<T> const& b, std::ptrdiff_t index) {
  auto const [place, s, d] = out_element(b.shape, index);
  DeviceHead<T> const head(b.shape, b.qkv, place, b.dropout);
  std::ptrdiff_t const width = b.shape.heads * b.shape.head_size;
  auto const douts = head_rows(b.shape, b.dout, width, place, 0);
  using W = Wide<T>;
  W gradients[3] = {};
  for (std::ptrdiff_t j = 0; j <= s; ++j) {
    W const slope = pair_gradient(b, head, place, s, j).slope;
    gradients[0] = math::fma(slope, W(head.keys.data[j * head.keys.stride + d]), gradients[0]);
  }
  for (std::ptrdiff_t i = s; i < b.shape.positions; ++i) {
    auto const pair = pair_gradient(b, head, place, i, s);
    gradients[1] = math::fma(pair.slope, W(head.queries.data[i * head.queries.stride + d]), gradients[1]);
    gradients[2] = math::fma(pair.probability, W(douts.data[i * douts.stride + d]), gradients[2]);
  }
  for (int part = 0; part < 3; ++part) {
    auto const row = head_rows(b.shape, b.dqkv, 3 * width, place, part);
    row.data[s * row.stride + d] = static_cast<T>(gradients[part]);
  }
}

template <class T>
void backward_on_device(ExecutionSpace const& exec, std::string const& label, Backward<T> const& b) {
  elements(
      exec, label, b.shape.batch * b.shape.positions * b.shape.heads * b.shape.head_size,
      KOKKOS_LAMBDA(std::ptrdiff_t index) { backward_element(b, index); });
}

}  // namespace tessera::kernels::attention
