// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The pass of backward.hpp that gives the gradients of queries.
#pragma once

#include "kernels/flash/backward.hpp"

namespace tessera::kernels::flash {

/// Gradients of queries. Own: HeldRows or SharedRows; `step` keys are in registers at a time.
template <class Call, class OwnRows, int D, int warps, int step, bool dropped>
struct QueriesBody {
  using Element = typename Call::Element;
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

}  // namespace tessera::kernels::flash
