// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Backward attention by tiles, in three passes without atomics: deltas, the gradients of queries (a block
// owns queries and meets keys), the gradients of keys and values (a block owns keys and meets queries). The
// last two form the scores and the products dout v again: 7 products in all where one pass with sums in
// memory has 5, but every sum has one fixed order.
//
// With p the probability, f its dropout factor and s the scale: dv += f p dout, ds = p (f dout v - delta),
// dq += s ds k, dk += s ds q, where delta = dout . out of the query's row.
#pragma once

#include "kernels/flash/forward.hpp"

namespace tessera::kernels::flash {

/// deltas (heads * B * S), as log_sum_exp: a group of 8 lanes a row of a head.
template <class Call, int D>
struct DeltasBody {
  static constexpr int threads = 128;
  static constexpr int shared_bytes = 0;
  static constexpr int rows = threads / 8;

  [[nodiscard]] int blocks() const {
    return static_cast<int>((call.shape.positions * call.shape.batch * call.shape.heads + rows - 1) / rows);
  }

  template <class Thread>
  TESSERA_TILE_FUNCTION void operator()(Thread const& thread, int block) const {
    std::ptrdiff_t const index = static_cast<std::ptrdiff_t>(block) * rows + thread.index() / 8;
    bool const there = index < call.shape.positions * call.shape.batch * call.shape.heads;
    std::ptrdiff_t const row = index / call.shape.heads;
    std::ptrdiff_t const head = index % call.shape.heads;
    float sum = 0;
    TESSERA_UNROLL
    for (int round = 0; round < (D + 63) / 64; ++round) {
      int const chunk = round * 8 + thread.index() % 8;
      if (there && chunk < D / 8) sum = add_chunk(thread, index * D + chunk * 8, sum);
    }
    TESSERA_UNROLL
    for (int mask = 1; mask < 8; mask *= 2) sum += thread.shuffle_xor(sum, mask);
    std::ptrdiff_t const pair = head * call.shape.batch + row % call.shape.batch;
    if (there && thread.index() % 8 == 0) deltas[pair * call.shape.positions + row / call.shape.batch] = sum;
  }

  template <class Thread>
  TESSERA_TILE_FUNCTION float add_chunk(Thread const& thread, std::ptrdiff_t element, float sum) const {
    Chunk const a = *reinterpret_cast<Chunk const*>(call.out + element);
    Chunk const b = *reinterpret_cast<Chunk const*>(call.dout + element);
    TESSERA_UNROLL
    for (int i = 0; i < 4; ++i) {
      sum = math::fma(thread.low(a.word[i]), thread.low(b.word[i]), sum);
      sum = math::fma(thread.high(a.word[i]), thread.high(b.word[i]), sum);
    }
    return sum;
  }

  Call call;
  float* deltas;
};

/// What both passes know of one (sequence, head).
template <class Call>
struct BackwardHead {
  TESSERA_TILE_FUNCTION BackwardHead(Call const& c, attention::Place place)
      : positions(static_cast<int>(c.shape.positions)),
        q(attention::head_rows(c.shape, c.qkv, 3 * c.shape.heads * c.shape.head_size, place, 0)),
        k(attention::head_rows(c.shape, c.qkv, 3 * c.shape.heads * c.shape.head_size, place, 1)),
        v(attention::head_rows(c.shape, c.qkv, 3 * c.shape.heads * c.shape.head_size, place, 2)),
        dout(attention::head_rows(c.shape, c.dout, c.shape.heads * c.shape.head_size, place, 0)),
        numbers(numbers_of(c, place)),
        rows((place.head * c.shape.batch + place.sequence) * c.shape.positions),
        scale(attention::score_scale<float>(c.shape)) {}

  int positions;
  HeadRows<std::remove_pointer_t<decltype(Call::qkv)>> q, k, v, dout;
  HeadNumbers numbers;
  std::ptrdiff_t rows;  ///< of log_sum_exp and deltas: the first
  float scale;
};

/// Gradients of queries. Own: HeldRows or SharedRows; `step` keys are in registers at a time.
template <class Call, class OwnRows, int D, int warps, int step, bool dropped>
struct QueriesBody {
  using Own = OwnRows;
  static constexpr int M = Own::row_blocks;
  static constexpr bool held = sizeof(Own) > sizeof(std::uint32_t);
  static constexpr int threads = warps * warp_size;
  static constexpr int queries = warps * 16 * M;
  static constexpr int stage_bytes = 2 * tile_bytes<D>;
  static constexpr int own_bytes = 2 * queries * row_bytes<D>;
  static constexpr int shared_bytes =
      held ? (own_bytes > 2 * stage_bytes ? own_bytes : 2 * stage_bytes) : own_bytes + 2 * stage_bytes;

  [[nodiscard]] int blocks() const { return block_count(call.shape, queries); }

  /// What a warp knows of its queries.
  struct Rows {
    Own q, dout;
    float shift[M][2];  ///< added to a scaled score it gives the probability's power of 2
    float delta[M][2];
  };

  template <class Thread>
  TESSERA_TILE_FUNCTION void operator()(Thread const& thread, int block) const {
    auto const [place, first] = block_place<true>(call.shape, block, queries);
    BackwardHead<Call> const head(call, place);
    std::uint32_t const stages = thread.shared() + (held ? 0 : own_bytes);
    int const warp_first = first + thread.warp() * 16 * M;

    copy_rows<D, queries, threads>(thread, head.q, first, head.positions, thread.shared());
    copy_rows<D, queries, threads>(thread, head.dout, first, head.positions, thread.shared() + own_bytes / 2);
    Rows rows;
    if constexpr (held) {
      thread.wait();
      thread.barrier();
    }
    std::uint32_t const own = thread.shared() + squares_down<D>(thread) + square<D>(thread.warp() * M, 0);
    rows.q.load(thread, own);
    rows.dout.load(thread, own + own_bytes / 2);
    load_numbers(thread, head, warp_first, rows);
    if constexpr (held) thread.barrier();

    float sums[M][D / 8][4];
    clear(sums);
    int const last = first + queries < head.positions ? first + queries : head.positions;
    int const tiles = (last + tile - 1) / tile;
    copy_tile(thread, head, 0, stages);
    for (int j = 0; j < tiles; ++j) {
      thread.wait();
      thread.barrier();
      if (j + 1 < tiles) {
        copy_tile(thread, head, (j + 1) * tile,
                  stages + static_cast<std::uint32_t>((j + 1) % 2 * stage_bytes));
      }
      std::uint32_t const stage = stages + static_cast<std::uint32_t>(j % 2 * stage_bytes);
      TESSERA_UNROLL
      for (int part = 0; part < tile / step; ++part) {
        int const key = j * tile + part * step;
        if (key < warp_first + 16 * M)
          add_keys(thread, head, rows, warp_first, key, stage + square<D>(part * step / 16, 0), sums);
      }
    }
    thread.barrier();
    float factors[M][2];
    TESSERA_UNROLL
    for (int m = 0; m < M; ++m) factors[m][0] = factors[m][1] = head.scale;
    auto const dq =
        attention::head_rows(call.shape, call.dqkv, 3 * call.shape.heads * call.shape.head_size, place, 0);
    write_rows<D>(thread, sums, factors,
                  thread.shared() + static_cast<std::uint32_t>(thread.warp() * 16 * M * row_bytes<D>), dq,
                  warp_first, head.positions);
  }

  template <class Thread>
  TESSERA_TILE_FUNCTION static void copy_tile(Thread const& thread, BackwardHead<Call> const& head, int first,
                                              std::uint32_t to) {
    copy_rows<D, tile, threads>(thread, head.k, first, head.positions, to);
    copy_rows<D, tile, threads>(thread, head.v, first, head.positions, to + tile_bytes<D>);
  }

  template <class Thread>
  TESSERA_TILE_FUNCTION void load_numbers(Thread const& thread, BackwardHead<Call> const& head, int first,
                                          Rows& rows) const {
    TESSERA_UNROLL
    for (int m = 0; m < M; ++m) {
      TESSERA_UNROLL
      for (int half = 0; half < 2; ++half) {
        int const row = first + 16 * m + 8 * half + thread.lane() / 4;
        bool const there = row < head.positions;
        rows.shift[m][half] = there ? -log2_e * call.log_sum_exp[head.rows + row] : 0.0F;
        rows.delta[m][half] = there ? deltas[head.rows + row] : 0.0F;
      }
    }
  }

  /// Keys and values [key, key + step), at `address`, for this warp's queries.
  template <class Thread>
  TESSERA_TILE_FUNCTION void add_keys(Thread const& thread, BackwardHead<Call> const& head, Rows const& rows,
                                      int query, int key, std::uint32_t address,
                                      float (&sums)[M][D / 8][4]) const {
    float p[M][step / 8][4];
    float slopes[M][step / 8][4];
    clear(p);
    clear(slopes);
    std::uint32_t const along = address + squares_along<D>(thread);
    add_products_of_rows<D>(thread, rows.q, along, p);
    add_products_of_rows<D>(thread, rows.dout, along + tile_bytes<D>, slopes);
    if (key + step - 1 > query) mask_later_keys(thread, query, key, p);
    if constexpr (dropped) drop_queries(thread, call.factors, head.numbers, query, key, slopes);
    float const scale = head.scale * log2_e;
    float const drop_scale = dropped ? call.factors.template scale<float>() : 1.0F;
    TESSERA_UNROLL
    for (int m = 0; m < M; ++m) {
      TESSERA_UNROLL
      for (int n = 0; n < step / 8; ++n) {
        TESSERA_UNROLL
        for (int i = 0; i < 4; ++i) {
          float const probability = thread.exp2(math::fma(p[m][n][i], scale, rows.shift[m][i / 2]));
          slopes[m][n][i] = probability * math::fma(slopes[m][n][i], drop_scale, -rows.delta[m][i / 2]);
        }
      }
    }
    std::uint32_t weights[M][step / 16][4];
    as_weights(thread, slopes, weights);
    add_weighted_rows<D>(thread, weights, address + squares_down<D>(thread), sums);
  }

  Call call;
  float const* deltas;
};

/// Gradients of keys and values: what a warp holds is transposed, rows are its 16 M keys and columns queries.
template <class Call, class OwnRows, int D, int warps, int step, bool dropped>
struct KeysBody {
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
