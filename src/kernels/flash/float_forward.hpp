// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Forward attention by tiles in float, for head sizes up to D: as forward.hpp, with products by the whole
// block in plain multiply-adds. A block works on float_tile queries of one (sequence, head).
#pragma once

#include <limits>

#include "kernels/flash/blocks.hpp"
#include "kernels/flash/dropped.hpp"
#include "kernels/flash/float_tiles.hpp"

namespace tessera::kernels::flash {

/// The larger of `value`, or the sum, over the 16 threads that share a row.
template <class Thread>
TESSERA_TILE_FUNCTION float float_row_most(Thread const& thread, float value) {
  TESSERA_UNROLL
  for (int mask = 1; mask < 16; mask *= 2) value = thread.larger(value, thread.shuffle_xor(value, mask));
  return value;
}
template <class Thread>
TESSERA_TILE_FUNCTION float float_row_sum(Thread const& thread, float value) {
  TESSERA_UNROLL
  for (int mask = 1; mask < 16; mask *= 2) value += thread.shuffle_xor(value, mask);
  return value;
}

template <int D>
struct FloatForwardBody {
  using Element = float;
  static constexpr int threads = float_threads;
  static constexpr std::uint32_t others_at = float_tile_bytes<D>;
  static constexpr std::uint32_t weights_at = 2 * float_tile_bytes<D>;
  static constexpr int shared_bytes = static_cast<int>(weights_at + float_tile_bytes<float_tile>);

  [[nodiscard]] int blocks() const { return block_count(call.shape, float_tile); }

  /// What a thread keeps of its four rows; the total is its own part.
  struct Rows {
    float most[4];
    float total[4];
    float sums[4][D / 16];
  };

  template <class Thread>
  TESSERA_TILE_FUNCTION void operator()(Thread const& thread, int block) const {
    auto const [place, first] = block_place<true>(call.shape, block, float_tile);
    std::ptrdiff_t const columns = 3 * call.shape.heads * call.shape.head_size;
    auto const positions = static_cast<int>(call.shape.positions);
    auto const size = static_cast<int>(call.shape.head_size);
    auto const k = attention::head_rows(call.shape, call.qkv, columns, place, 1);
    auto const v = attention::head_rows(call.shape, call.qkv, columns, place, 2);
    load_float_rows<D>(thread, attention::head_rows(call.shape, call.qkv, columns, place, 0), first,
                       positions, size, thread.shared());
    Rows rows;
    clear(rows.sums);
    TESSERA_UNROLL
    for (int i = 0; i < 4; ++i) {
      rows.most[i] = -std::numeric_limits<float>::infinity();
      rows.total[i] = 0;
    }
    for (int key = 0; key <= first && key < positions; key += float_tile) {
      load_float_rows<D>(thread, k, key, positions, size, thread.shared() + others_at);
      thread.barrier();
      form_weights(thread, place, first, key, rows);
      thread.barrier();
      load_float_rows<D>(thread, v, key, positions, size, thread.shared() + others_at);
      thread.barrier();
      add_weighted_float_rows<D>(thread, thread.shared() + weights_at, thread.shared() + others_at,
                                 rows.sums);
      thread.barrier();
    }
    finish(thread, place, first, rows);
  }

  /// Weights of the values of a tile of keys, and the running maxima, totals and sums brought up to them.
  template <class Thread>
  TESSERA_TILE_FUNCTION void form_weights(Thread const& thread, attention::Place place, int first, int key,
                                          Rows& rows) const {
    float p[4][4];
    products_of_float_rows<D>(thread, depth_of(call.shape), thread.shared(), thread.shared() + others_at, p);
    float const scale = attention::score_scale<float>(call.shape);
    HeadNumbers const numbers = numbers_of(call, place);
    TESSERA_UNROLL
    for (int i = 0; i < 4; ++i) {
      int const query = first + row_of(thread) + i;
      float most = rows.most[i];
      TESSERA_UNROLL
      for (int n = 0; n < 4; ++n) {
        bool const later = key + column_of(thread) + 16 * n > query;
        p[i][n] = later ? -std::numeric_limits<float>::infinity() : p[i][n] * scale;
        most = thread.larger(most, p[i][n]);
      }
      most = float_row_most(thread, most);
      float const shrink = math::exp(rows.most[i] - most);
      rows.most[i] = most;
      rows.total[i] *= shrink;
      TESSERA_UNROLL
      for (int d = 0; d < D / 16; ++d) rows.sums[i][d] *= shrink;
      TESSERA_UNROLL
      for (int n = 0; n < 4; ++n) {
        p[i][n] = math::exp(p[i][n] - most);
        rows.total[i] += p[i][n];
        if (call.factors.active())
          p[i][n] *= call.factors.of<float>(numbers.bits(query, key + column_of(thread) + 16 * n));
      }
    }
    store_weights(thread, p, thread.shared() + weights_at);
  }

  template <class Thread>
  TESSERA_TILE_FUNCTION void finish(Thread const& thread, attention::Place place, int first,
                                    Rows const& rows) const {
    auto const positions = static_cast<int>(call.shape.positions);
    std::ptrdiff_t const base = (place.head * call.shape.batch + place.sequence) * call.shape.positions;
    float factors[4];
    TESSERA_UNROLL
    for (int i = 0; i < 4; ++i) {
      float const total = float_row_sum(thread, rows.total[i]);
      factors[i] = 1.0F / total;
      int const row = first + row_of(thread) + i;
      if (column_of(thread) == 0 && row < positions)
        call.log_sum_exp[base + row] = rows.most[i] + math::log(total);
    }
    write_float_rows<D>(
        thread, rows.sums, factors,
        attention::head_rows(call.shape, call.out, call.shape.heads * call.shape.head_size, place, 0), first,
        positions, static_cast<int>(call.shape.head_size));
  }

  attention::Forward<float> call;
};

}  // namespace tessera::kernels::flash
