// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The pass of backward.hpp that gives the gradients of keys and values.
#pragma once

#include "kernels/flash/backward.hpp"

namespace tessera::kernels::flash {

/// Gradients of keys and values: what a warp holds is transposed, rows are its 16 M keys and columns queries.
template <class Call, class OwnRows, int D, int warps, int step, bool dropped>
struct KeysBody {
  using Element = typename Call::Element;
  using Own = OwnRows;
  static constexpr int M = Own::row_blocks;
  static constexpr bool held = sizeof(Own) > sizeof(std::uint32_t);
  static constexpr int threads = warps * warp_size;
  static constexpr int keys = warps * 16 * M;
  static constexpr int numbers_at =
      2 * tile_bytes<D>;  ///< tile shifts and tile deltas, after queries and douts
  static constexpr int stage_bytes = 2 * tile_bytes<D> + 2 * tile * 4;
  static constexpr int own_bytes = 2 * keys * row_bytes<D>;
  static constexpr int shared_bytes =
      held ? (own_bytes > 2 * stage_bytes ? own_bytes : 2 * stage_bytes) : own_bytes + 2 * stage_bytes;
  static_assert(threads >= 2 * tile);

  [[nodiscard]] int blocks() const { return block_count(call.shape, keys); }

  /// What a warp has of its keys.
  struct Rows {
    Own k, v;
    float dk[M][D / 8][4];
    float dv[M][D / 8][4];
  };

  template <class Thread>
  TESSERA_TILE_FUNCTION void operator()(Thread const& thread, int block) const {
    auto const [place, first] = block_place<false>(call.shape, block, keys);
    BackwardHead<Call> const head(call, place);
    std::uint32_t const stages = thread.shared() + (held ? 0 : own_bytes);
    int const warp_first = first + thread.warp() * 16 * M;

    copy_rows<D, keys, threads>(thread, head.k, first, head.positions, thread.shared());
    copy_rows<D, keys, threads>(thread, head.v, first, head.positions, thread.shared() + own_bytes / 2);
    Rows rows;
    if constexpr (held) {
      thread.wait();
      thread.barrier();
    }
    std::uint32_t const own = thread.shared() + squares_down<D>(thread) + square<D>(thread.warp() * M, 0);
    rows.k.load(thread, own);
    rows.v.load(thread, own + own_bytes / 2);
    if constexpr (held) thread.barrier();
    clear(rows.dk);
    clear(rows.dv);

    int const tiles = (head.positions + tile - 1) / tile;
    int const begin = first / tile;
    copy_tile(thread, head, begin * tile, stages + begin % 2 * stage_bytes);
    store_number(thread, number(thread, head, begin * tile), stages + begin % 2 * stage_bytes);
    for (int j = begin; j < tiles; ++j) {
      thread.wait();
      thread.barrier();
      std::uint32_t const stage = stages + static_cast<std::uint32_t>(j % 2 * stage_bytes);
      std::uint32_t const next = stages + static_cast<std::uint32_t>((j + 1) % 2 * stage_bytes);
      float number_of_next = 0;
      if (j + 1 < tiles) {
        copy_tile(thread, head, (j + 1) * tile, next);
        number_of_next = number(thread, head, (j + 1) * tile);
      }
      TESSERA_UNROLL
      for (int part = 0; part < tile / step; ++part) {
        int const query = j * tile + part * step;
        if (query + step > warp_first) add_queries(thread, head, warp_first, query, stage, part * step, rows);
      }
      if (j + 1 < tiles) store_number(thread, number_of_next, next);
    }
    thread.barrier();
    write(thread, place, head, warp_first, rows);
  }

  template <class Thread>
  TESSERA_TILE_FUNCTION static void copy_tile(Thread const& thread, BackwardHead<Call> const& head, int first,
                                              std::uint32_t to) {
    copy_rows<D, tile, threads>(thread, head.q, first, head.positions, to);
    copy_rows<D, tile, threads>(thread, head.dout, first, head.positions, to + tile_bytes<D>);
  }

  /// This thread's one of the shifts and deltas of queries [first, first + tile).
  template <class Thread>
  TESSERA_TILE_FUNCTION float number(Thread const& thread, BackwardHead<Call> const& head, int first) const {
    int const row = first + thread.index() % tile;
    if (thread.index() >= 2 * tile || row >= head.positions) return 0.0F;
    return thread.index() < tile ? -log2_e * call.log_sum_exp[head.rows + row] : deltas[head.rows + row];
  }
  template <class Thread>
  TESSERA_TILE_FUNCTION static void store_number(Thread const& thread, float value, std::uint32_t stage) {
    if (thread.index() < 2 * tile)
      thread.store(stage + numbers_at + static_cast<std::uint32_t>(thread.index() * 4), value);
  }

  /// Queries [query, query + step), rows `row` on of the stage, for this warp's keys.
  template <class Thread>
  TESSERA_TILE_FUNCTION void add_queries(Thread const& thread, BackwardHead<Call> const& head, int key,
                                         int query, std::uint32_t stage, int row, Rows& rows) const {
    std::uint32_t const along = stage + squares_along<D>(thread) + square<D>(row / 16, 0);
    std::uint32_t const down = stage + squares_down<D>(thread) + square<D>(row / 16, 0);
    float p[M][step / 8][4];
    float slopes[M][step / 8][4];
    clear(p);
    clear(slopes);
    add_products_of_rows<D>(thread, rows.k, along, p);
    add_products_of_rows<D>(thread, rows.v, along + tile_bytes<D>, slopes);
    if (key + 16 * M - 1 > query) mask_earlier_queries(thread, key, query, p);
    std::uint32_t const numbers =
        stage + numbers_at + static_cast<std::uint32_t>((row + thread.lane() % 4 * 2) * 4);
    differentiate(thread, head, key, query, numbers, p, slopes);
    std::uint32_t weights[M][step / 16][4];
    as_weights(thread, p, weights);
    add_weighted_rows<D>(thread, weights, down + tile_bytes<D>, rows.dv);
    as_weights(thread, slopes, weights);
    add_weighted_rows<D>(thread, weights, down, rows.dk);
  }

  /// Scores become probabilities, zero where dropped and not yet scaled, and dout v the slopes of the scores.
  template <class Thread>
  TESSERA_TILE_FUNCTION void differentiate(Thread const& thread, BackwardHead<Call> const& head, int key,
                                           int query, std::uint32_t numbers, float (&p)[M][step / 8][4],
                                           float (&slopes)[M][step / 8][4]) const {
    float const scale = head.scale * log2_e;
    std::uint32_t bits[M];
    TESSERA_UNROLL
    for (int m = 0; m < M; ++m) {
      bits[m] = dropped ? kept<true, step / 8>(thread, call.factors, head.numbers, query, key + 16 * m) : 0;
      if constexpr (dropped) drop(bits[m], slopes[m]);
    }
    TESSERA_UNROLL
    for (int n = 0; n < step / 8; ++n) {
      auto const shift = thread.template load<Pair>(numbers + static_cast<std::uint32_t>(32 * n));
      auto const delta = thread.template load<Pair>(numbers + static_cast<std::uint32_t>(32 * n + tile * 4));
      TESSERA_UNROLL
      for (int m = 0; m < M; ++m) {
        TESSERA_UNROLL
        for (int i = 0; i < 4; ++i) {
          float const probability = thread.exp2(math::fma(p[m][n][i], scale, shift.value[i % 2]));
          p[m][n][i] = probability;
          slopes[m][n][i] = probability * math::fma(slopes[m][n][i], drop_scale(), -delta.value[i % 2]);
        }
      }
    }
    TESSERA_UNROLL
    for (int m = 0; m < M; ++m) {
      if constexpr (dropped) drop(bits[m], p[m]);
    }
  }
  TESSERA_TILE_FUNCTION float drop_scale() const {
    return dropped ? call.factors.template scale<float>() : 1.0F;
  }

  template <int N, class Thread>
  TESSERA_TILE_FUNCTION static void mask_earlier_queries(Thread const& thread, int key, int query,
                                                         float (&scores)[M][N][4]) {
    int const row = key + thread.lane() / 4;
    int const column = query + thread.lane() % 4 * 2;
    TESSERA_UNROLL
    for (int m = 0; m < M; ++m) {
      TESSERA_UNROLL
      for (int n = 0; n < N; ++n) {
        TESSERA_UNROLL
        for (int i = 0; i < 4; ++i) {
          bool const later = row + 16 * m + i / 2 * 8 > column + 8 * n + i % 2;
          scores[m][n][i] = later ? -std::numeric_limits<float>::infinity() : scores[m][n][i];
        }
      }
    }
  }

  template <class Thread>
  TESSERA_TILE_FUNCTION void write(Thread const& thread, attention::Place place,
                                   BackwardHead<Call> const& head, int key, Rows const& rows) const {
    std::ptrdiff_t const columns = 3 * call.shape.heads * call.shape.head_size;
    std::uint32_t const staging =
        thread.shared() + static_cast<std::uint32_t>(thread.warp() * 16 * M * row_bytes<D>);
    float scales[M][2];
    float drop_scales[M][2];
    TESSERA_UNROLL
    for (int m = 0; m < M; ++m) {
      scales[m][0] = scales[m][1] = head.scale;
      drop_scales[m][0] = drop_scales[m][1] = drop_scale();
    }
    write_rows<D>(thread, rows.dk, scales, staging,
                  attention::head_rows(call.shape, call.dqkv, columns, place, 1), key, head.positions);
    thread.warp_barrier();
    write_rows<D>(thread, rows.dv, drop_scales, staging,
                  attention::head_rows(call.shape, call.dqkv, columns, place, 2), key, head.positions);
  }

  Call call;
  float const* deltas;
};

}  // namespace tessera::kernels::flash
