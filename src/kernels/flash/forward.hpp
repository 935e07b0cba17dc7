// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Forward attention by tiles in tensor-core products (Dao, "FlashAttention-2", 2023). A block works on
// `queries` rows of one (sequence, head), a warp on its own 16 M of them; keys and values pass through shared
// memory tile by tile, the next tile copied while one is worked on. Probabilities are rounded to the type of
// the values before they weigh them; scores, maxima, totals and sums are float.
#pragma once

#include <limits>

#include "kernels/flash/blocks.hpp"
#include "kernels/flash/dropped.hpp"
#include "kernels/flash/fragments.hpp"

namespace tessera::kernels::flash {

inline constexpr float log2_e = 1.44269504F;
inline constexpr float ln_2 = 0.693147181F;

/// What a warp keeps of its rows of scores: the largest, and this lane's part of the total.
template <int M>
struct RunningRows {
  float most[M][2];
  float total[M][2];
};

/// -infinity for keys after their query. `query` is of the warp's first row, `key` of the first column.
template <int M, int N, class Thread>
TESSERA_TILE_FUNCTION void mask_later_keys(Thread const& thread, int query, int key,
                                           float (&scores)[M][N][4]) {
  int const row = query + thread.lane() / 4;
  int const column = key + thread.lane() % 4 * 2;
  TESSERA_UNROLL
  for (int m = 0; m < M; ++m) {
    TESSERA_UNROLL
    for (int n = 0; n < N; ++n) {
      TESSERA_UNROLL
      for (int i = 0; i < 4; ++i) {
        bool const later = column + 8 * n + i % 2 > row + 16 * m + i / 2 * 8;
        scores[m][n][i] = later ? -std::numeric_limits<float>::infinity() : scores[m][n][i];
      }
    }
  }
}

/// The larger of `value` over the four lanes that share a row, and the sum.
template <class Thread>
TESSERA_TILE_FUNCTION float row_most(Thread const& thread, float value) {
  TESSERA_UNROLL
  for (int mask = 1; mask < 4; mask *= 2) value = thread.larger(value, thread.shuffle_xor(value, mask));
  return value;
}
template <class Thread>
TESSERA_TILE_FUNCTION float row_sum(Thread const& thread, float value) {
  TESSERA_UNROLL
  for (int mask = 1; mask < 4; mask *= 2) value += thread.shuffle_xor(value, mask);
  return value;
}

/// Scores become probabilities relative to the running maxima, and so do the totals and sums before them.
/// `scale` turns a score into its power of 2.
template <int M, int N, int D8, class Thread>
TESSERA_TILE_FUNCTION void running_softmax(Thread const& thread, float scale, float (&scores)[M][N][4],
                                           RunningRows<M>& rows, float (&sums)[M][D8][4]) {
  TESSERA_UNROLL
  for (int m = 0; m < M; ++m) {
    TESSERA_UNROLL
    for (int half = 0; half < 2; ++half) {
      float most = rows.most[m][half];
      TESSERA_UNROLL
      for (int n = 0; n < N; ++n) {
        TESSERA_UNROLL
        for (int i = 2 * half; i < 2 * half + 2; ++i) most = thread.larger(most, scores[m][n][i]);
      }
      most = row_most(thread, most);
      float const shrink = thread.exp2((rows.most[m][half] - most) * scale);
      float const shift = -most * scale;
      float total = rows.total[m][half] * shrink;
      TESSERA_UNROLL
      for (int n = 0; n < N; ++n) {
        TESSERA_UNROLL
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          scores[m][n][i] = thread.exp2(math::fma(scores[m][n][i], scale, shift));
          total += scores[m][n][i];
        }
      }
      rows.most[m][half] = most;
      rows.total[m][half] = total;
      TESSERA_UNROLL
      for (int d = 0; d < D8; ++d) {
        sums[m][d][2 * half] *= shrink;
        sums[m][d][2 * half + 1] *= shrink;
      }
    }
  }
}

/// Zeros where dropout drops: rows are queries. What stays is not yet scaled.
template <int M, int N, class Thread>
TESSERA_TILE_FUNCTION void drop_queries(Thread const& thread, DropoutFactors const& factors,
                                        HeadNumbers const& numbers, int query, int key,
                                        float (&values)[M][N][4]) {
  TESSERA_UNROLL
  for (int m = 0; m < M; ++m) drop(kept<false, N>(thread, factors, numbers, query + 16 * m, key), values[m]);
}

/// Call: attention::Forward of a 16-bit type. M blocks of 16 queries a warp; Queries: HeldRows or SharedRows.
template <class Call, int D, int warps, class Queries, bool dropped>
struct ForwardBody {
  using Element = typename Call::Element;
  static constexpr int M = Queries::row_blocks;
  static constexpr bool held = sizeof(Queries) > sizeof(std::uint32_t);
  static constexpr int threads = warps * warp_size;
  static constexpr int queries = warps * 16 * M;
  static constexpr int stage_bytes = 2 * tile_bytes<D>;
  static constexpr int query_bytes = queries * row_bytes<D>;
  static constexpr int shared_bytes =
      held ? (query_bytes > 2 * stage_bytes ? query_bytes : 2 * stage_bytes) : query_bytes + 2 * stage_bytes;

  [[nodiscard]] int blocks() const { return block_count(call.shape, queries); }

  template <class Thread>
  TESSERA_TILE_FUNCTION void operator()(Thread const& thread, int block) const {
    auto const [place, first] = block_place<true>(call.shape, block, queries);
    std::ptrdiff_t const columns = 3 * call.shape.heads * call.shape.head_size;
    auto const positions = static_cast<int>(call.shape.positions);
    auto const q = attention::head_rows(call.shape, call.qkv, columns, place, 0);
    auto const k = attention::head_rows(call.shape, call.qkv, columns, place, 1);
    auto const v = attention::head_rows(call.shape, call.qkv, columns, place, 2);
    std::uint32_t const stages = thread.shared() + (held ? 0 : query_bytes);
    int const warp_first = first + thread.warp() * 16 * M;

    copy_rows<D, queries, threads>(thread, q, first, positions, thread.shared());
    Queries own;
    if constexpr (held) {
      thread.wait();
      thread.barrier();
    }
    own.load(thread, thread.shared() + squares_down<D>(thread) + square<D>(thread.warp() * M, 0));
    if constexpr (held) thread.barrier();

    float sums[M][D / 8][4];
    RunningRows<M> rows;
    clear(sums);
    TESSERA_UNROLL
    for (int m = 0; m < M; ++m) {
      TESSERA_UNROLL
      for (int half = 0; half < 2; ++half) {
        rows.most[m][half] = -std::numeric_limits<float>::infinity();
        rows.total[m][half] = 0;
      }
    }
    int const last = first + queries < positions ? first + queries : positions;
    int const tiles = (last + tile - 1) / tile;
    copy_tile(thread, k, v, 0, positions, stages);
    for (int j = 0; j < tiles; ++j) {
      thread.wait();
      thread.barrier();
      std::uint32_t const stage = stages + static_cast<std::uint32_t>(j % 2 * stage_bytes);
      if (j + 1 < tiles) {
        copy_tile(thread, k, v, (j + 1) * tile, positions,
                  stages + static_cast<std::uint32_t>((j + 1) % 2 * stage_bytes));
      }
      if (j * tile < warp_first + 16 * M)
        add_tile(thread, own, place, warp_first, j * tile, stage, rows, sums);
    }
    thread.barrier();
    finish(thread, place, warp_first, positions, rows, sums);
  }

  template <class Rows, class Thread>
  TESSERA_TILE_FUNCTION static void copy_tile(Thread const& thread, Rows const& k, Rows const& v, int first,
                                              int positions, std::uint32_t to) {
    copy_rows<D, tile, threads>(thread, k, first, positions, to);
    copy_rows<D, tile, threads>(thread, v, first, positions, to + tile_bytes<D>);
  }

  /// Keys and values [key, key + tile), at `address`, for this warp's queries.
  template <class Thread>
  TESSERA_TILE_FUNCTION void add_tile(Thread const& thread, Queries const& own, attention::Place place,
                                      int query, int key, std::uint32_t address, RunningRows<M>& rows,
                                      float (&sums)[M][D / 8][4]) const {
    float scores[M][tile / 8][4];
    clear(scores);
    add_products_of_rows<D>(thread, own, address + squares_along<D>(thread), scores);
    if (key + tile - 1 > query) mask_later_keys(thread, query, key, scores);
    running_softmax(thread, scale() * log2_e, scores, rows, sums);
    if constexpr (dropped) {
      drop_queries(thread, call.factors, numbers_of(call, place), query, key, scores);
    }
    std::uint32_t weights[M][tile / 16][4];
    as_weights(thread, scores, weights);
    add_weighted_rows<D>(thread, weights, address + squares_down<D>(thread) + tile_bytes<D>, sums);
  }

  template <class Thread>
  TESSERA_TILE_FUNCTION void finish(Thread const& thread, attention::Place place, int query, int positions,
                                    RunningRows<M> const& rows, float const (&sums)[M][D / 8][4]) const {
    float factors[M][2];
    std::ptrdiff_t const base = (place.head * call.shape.batch + place.sequence) * call.shape.positions;
    TESSERA_UNROLL
    for (int m = 0; m < M; ++m) {
      TESSERA_UNROLL
      for (int half = 0; half < 2; ++half) {
        float const total = row_sum(thread, rows.total[m][half]);
        factors[m][half] = drop_scale() / total;
        int const row = query + 16 * m + 8 * half + thread.lane() / 4;
        if (thread.lane() % 4 == 0 && row < positions)
          call.log_sum_exp[base + row] = math::fma(rows.most[m][half], scale(), math::log(total));
      }
    }
    auto const out =
        attention::head_rows(call.shape, call.out, call.shape.heads * call.shape.head_size, place, 0);
    write_rows<D>(thread, sums, factors,
                  thread.shared() + static_cast<std::uint32_t>(thread.warp() * 16 * M * row_bytes<D>), out,
                  query, positions);
  }

  TESSERA_TILE_FUNCTION float drop_scale() const {
    return dropped ? call.factors.template scale<float>() : 1.0F;
  }
  TESSERA_TILE_FUNCTION float scale() const { return attention::score_scale<float>(call.shape); }

  Call call;
};

}  // namespace tessera::kernels::flash
