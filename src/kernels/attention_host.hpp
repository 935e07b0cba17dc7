// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Attention on a host: one (sequence, head) by one thread, tile by tile.
#pragma once

#include <limits>

#include "kernels/attention_tiles.hpp"
#include "tessera/kernels/math.hpp"

namespace tessera::kernels::attention {

/// Multiplies a tile of probabilities by their dropout factors; `first` is the global index of the first.
template <class T>
void drop_tile(DropoutFactors const& factors, std::uint64_t first, std::ptrdiff_t positions,
               T* probabilities) {
  if (!factors.active()) return;
  for (std::ptrdiff_t i = 0; i < tile; ++i) {
    T* const row = probabilities + i * tile;
    detail::draw_factors<T>(factors, first + static_cast<std::uint64_t>(i * positions), tile,
                            [&](std::ptrdiff_t j, T factor) { row[j] *= factor; });
  }
}

/// The largest of a row's scores and `least`.
template <class T>
T row_maximum(T const* row, T least) {
  simd::Vec<T> most = simd::broadcast(least);
  for (std::ptrdiff_t j = 0; j < tile; j += simd::width<T>) {
    simd::Vec<T> const scores = simd::load(row + j);
    most = most < scores ? scores : most;
  }
  return simd::largest<T>(most);
}

/// Turns a row of scores into probabilities relative to `maximum` and adds them to the lanes of the row's
/// total, after both the total and the row's sums were brought to that maximum by `shrink`.
template <class T>
void softmax_row(std::ptrdiff_t width, T maximum, T shrink, T* row, T* total, T* sums) {
  detail::independent(tile, [&](std::ptrdiff_t j) { row[j] = math::exp(row[j] - maximum); });
  detail::independent(total_lanes, [&](std::ptrdiff_t l) {
    T sum = total[l] * shrink;
    for (std::ptrdiff_t j = l; j < tile; j += total_lanes) sum += row[j];
    total[l] = sum;
  });
  detail::independent(width, [&](std::ptrdiff_t d) { sums[d] *= shrink; });
}

/// Turns a tile of scores into probabilities relative to running maxima. On the diagonal later keys are
/// masked by -infinity, whose exp is 0.
template <class T>
void running_softmax(ForwardScratch<T> const& s, std::ptrdiff_t width, bool diagonal) {
  T shrink[tile];
  for (std::ptrdiff_t i = 0; i < tile; ++i) {
    T* const row = s.scores + i * tile;
    for (std::ptrdiff_t j = diagonal ? i + 1 : tile; j < tile; ++j)
      row[j] = -std::numeric_limits<T>::infinity();
    shrink[i] = s.maximum[i];
    s.maximum[i] = row_maximum(row, s.maximum[i]);
  }
  detail::independent(tile, [&](std::ptrdiff_t i) { shrink[i] = math::exp(shrink[i] - s.maximum[i]); });
  for (std::ptrdiff_t i = 0; i < tile; ++i) {
    softmax_row(width, s.maximum[i], shrink[i], s.scores + i * tile, s.total + i * total_lanes,
                s.sums + i * width);
  }
}

template <class T>
void pack_keys_and_values(Forward<T> const& f, Place place, std::ptrdiff_t width,
                          ForwardScratch<Wide<T>> const& s) {
  std::ptrdiff_t const columns = 3 * f.shape.heads * f.shape.head_size;
  auto const keys = head_rows(f.shape, f.qkv, columns, place, 1);
  auto const values = head_rows(f.shape, f.qkv, columns, place, 2);
  for (std::ptrdiff_t first = 0; first < f.shape.positions; first += tile) {
    pack_rows(f.shape, keys, first, 1, width, s.queries);
    transpose_tile(s.queries, width, s.keys + first * width);
    pack_rows(f.shape, values, first, 1, width, s.values + first * width);
  }
}

/// The finished rows of one tile of queries.
template <class T>
void store_rows(Forward<T> const& f, Place place, std::ptrdiff_t first, std::ptrdiff_t width,
                ForwardScratch<Wide<T>> const& s) {
  using W = Wide<T>;
  auto const out = head_rows(f.shape, f.out, f.shape.heads * f.shape.head_size, place, 0);
  W* const log_sum_exp = f.log_sum_exp + (place.head * f.shape.batch + place.sequence) * f.shape.positions;
  for (std::ptrdiff_t i = 0; i < tile && first + i < f.shape.positions; ++i) {
    W const* const lanes = s.total + i * total_lanes;
    W const total = lane_sum<W>(total_lanes, [&](std::ptrdiff_t l) { return lanes[l]; });
    W const inverse = W(1) / total;
    W const* const sums = s.sums + i * width;
    T* const row = out.data + (first + i) * out.stride;
    detail::independent(f.shape.head_size,
                        [&](std::ptrdiff_t d) { row[d] = static_cast<T>(sums[d] * inverse); });
    log_sum_exp[first + i] = s.maximum[i] + math::log(total);
  }
}

template <class T>
void forward_head(Forward<T> const& f, std::ptrdiff_t index, Wide<T>* memory) {
  using W = Wide<T>;
  ForwardScratch<W> const s(f.shape, memory);
  std::ptrdiff_t const width = padded_head<W>(f.shape);
  std::ptrdiff_t const positions = f.shape.positions;
  Place const place = place_of(f.shape, index);
  std::uint64_t const origin = first_probability(f.shape, f.dropout, place);
  pack_keys_and_values(f, place, width, s);
  auto const queries = head_rows(f.shape, f.qkv, 3 * f.shape.heads * f.shape.head_size, place, 0);
  for (std::ptrdiff_t q = 0; q < positions; q += tile) {
    pack_rows(f.shape, queries, q, score_scale<W>(f.shape), width, s.queries);
    for (std::ptrdiff_t i = 0; i < tile * width; ++i) s.sums[i] = W(0);
    for (std::ptrdiff_t i = 0; i < tile; ++i) s.maximum[i] = -std::numeric_limits<W>::infinity();
    for (std::ptrdiff_t i = 0; i < tile * total_lanes; ++i) s.total[i] = W(0);
    for (std::ptrdiff_t k = 0; k <= q; k += tile) {
      bool const diagonal = k == q;
      score_tile(f.shape.head_size, width, diagonal, s.queries, s.keys + k * width, s.scores);
      running_softmax(s, width, diagonal);
      drop_tile(f.factors, origin + static_cast<std::uint64_t>(q * positions + k), positions, s.scores);
      add_weighted_rows(width, diagonal, s.scores, s.values + k * width, s.sums);
    }
    store_rows(f, place, q, width, s);
  }
}

/// All queries and output gradients of a head, and of each row the product of its output and its gradient.
template <class T>
void pack_queries(Backward<T> const& b, Place place, std::ptrdiff_t width,
                  BackwardScratch<Wide<T>> const& s) {
  using W = Wide<T>;
  std::ptrdiff_t const columns = b.shape.heads * b.shape.head_size;
  auto const queries = head_rows(b.shape, b.qkv, 3 * columns, place, 0);
  auto const douts = head_rows(b.shape, b.dout, columns, place, 0);
  auto const outs = head_rows(b.shape, b.out, columns, place, 0);
  for (std::ptrdiff_t q = 0; q < b.shape.positions; q += tile) {
    pack_rows(b.shape, queries, q, score_scale<W>(b.shape), width, s.queries + q * width);
    pack_rows(b.shape, douts, q, 1, width, s.douts + q * width);
    for (std::ptrdiff_t i = 0; i < tile * width; ++i) s.dqueries[q * width + i] = W(0);
    for (std::ptrdiff_t i = q; i < q + tile && i < b.shape.positions; ++i) {
      T const* const out = outs.data + i * outs.stride;
      W const* const dout = s.douts + i * width;
      s.deltas[i] = lane_sum<W>(b.shape.head_size, [&](std::ptrdiff_t d) { return dout[d] * out[d]; });
    }
  }
}

/// Row i of tile (q, k): scores become probabilities as dropped, gradients of probabilities those of scores.
/// Keys from `count` on are masked; a row beyond the positions has none.
template <class T>
void softmax_backward(DropoutFactors const& factors, BackwardScratch<T> const& s, T log_sum_exp, T delta,
                      std::ptrdiff_t i, std::ptrdiff_t count, std::uint64_t first) {
  T* const probability = s.probabilities + i * tile;
  T* const slope = s.slopes + i * tile;
  for (std::ptrdiff_t j = count; j < tile; ++j) {
    probability[j] = -std::numeric_limits<T>::infinity();
    slope[j] = T(0);
  }
  auto const step = [&](std::ptrdiff_t j, T factor) {
    T const p = math::exp(probability[j] - log_sum_exp);
    probability[j] = p * factor;
    slope[j] = p * (slope[j] * factor - delta);
  };
  if (factors.active()) {
    detail::draw_factors<T>(factors, first, tile, step);
  } else {
    detail::independent(tile, [&](std::ptrdiff_t j) { step(j, T(1)); });
  }
}

/// Adds tile (q, k) to the gradients of its queries, keys and values.
template <class T>
void backward_tile(Backward<T> const& b, Place place, std::ptrdiff_t q, std::ptrdiff_t k,
                   std::ptrdiff_t width, BackwardScratch<Wide<T>> const& s) {
  using W = Wide<T>;
  bool const diagonal = k == q;
  std::ptrdiff_t const positions = b.shape.positions;
  std::uint64_t const origin = first_probability(b.shape, b.dropout, place);
  W const* const log_sum_exp = b.log_sum_exp + (place.head * b.shape.batch + place.sequence) * positions;
  W const* const queries = s.queries + q * width;
  W const* const douts = s.douts + q * width;
  score_tile(b.shape.head_size, width, diagonal, queries, s.keys_transposed, s.probabilities);
  score_tile(b.shape.head_size, width, diagonal, douts, s.values_transposed, s.slopes);
  for (std::ptrdiff_t i = 0; i < tile; ++i) {
    bool const there = q + i < positions;
    std::ptrdiff_t const count = !there ? 0 : diagonal ? i + 1 : tile;
    softmax_backward(b.factors, s, there ? log_sum_exp[q + i] : W(0), there ? s.deltas[q + i] : W(0), i,
                     count, origin + static_cast<std::uint64_t>((q + i) * positions + k));
  }
  add_weighted_rows_transposed(width, diagonal, s.probabilities, douts, s.dvalues);
  add_weighted_rows_transposed(width, diagonal, s.slopes, queries, s.dkeys);
  add_weighted_rows(width, diagonal, s.slopes, s.keys, s.dqueries + q * width);
}

/// to row first + s = scale * from[s] for the rows of a tile that exist.
template <class T>
void unpack_rows(AttentionShape const& shape, Wide<T> const* from, std::ptrdiff_t width, std::ptrdiff_t first,
                 Wide<T> scale, HeadRows<T> to) {
  for (std::ptrdiff_t s = 0; s < tile && first + s < shape.positions; ++s) {
    Wide<T> const* const line = from + s * width;
    T* const row = to.data + (first + s) * to.stride;
    detail::independent(shape.head_size, [&](std::ptrdiff_t d) { row[d] = static_cast<T>(scale * line[d]); });
  }
}

template <class T>
void backward_head(Backward<T> const& b, std::ptrdiff_t index, Wide<T>* memory) {
  using W = Wide<T>;
  BackwardScratch<W> const s(b.shape, memory);
  std::ptrdiff_t const width = padded_head<W>(b.shape);
  std::ptrdiff_t const positions = b.shape.positions;
  std::ptrdiff_t const columns = 3 * b.shape.heads * b.shape.head_size;
  Place const place = place_of(b.shape, index);
  pack_queries(b, place, width, s);
  for (std::ptrdiff_t k = 0; k < positions; k += tile) {
    pack_rows(b.shape, head_rows(b.shape, b.qkv, columns, place, 2), k, 1, width, s.keys);
    transpose_tile(s.keys, width, s.values_transposed);
    pack_rows(b.shape, head_rows(b.shape, b.qkv, columns, place, 1), k, 1, width, s.keys);
    transpose_tile(s.keys, width, s.keys_transposed);
    for (std::ptrdiff_t i = 0; i < tile * width; ++i) s.dkeys[i] = s.dvalues[i] = W(0);
    for (std::ptrdiff_t q = k; q < positions; q += tile) backward_tile(b, place, q, k, width, s);
    unpack_rows(b.shape, s.dkeys, width, k, 1, head_rows(b.shape, b.dqkv, columns, place, 1));
    unpack_rows(b.shape, s.dvalues, width, k, 1, head_rows(b.shape, b.dqkv, columns, place, 2));
  }
  auto const dqueries = head_rows(b.shape, b.dqkv, columns, place, 0);
  for (std::ptrdiff_t q = 0; q < positions; q += tile) {
    unpack_rows(b.shape, s.dqueries + q * width, width, q, score_scale<W>(b.shape), dqueries);
  }
}

}  // namespace tessera::kernels::attention
