// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Backward attention by tiles in float, for head sizes up to D: the passes of backward.hpp, with products by
// the whole block in plain multiply-adds.
#pragma once

#include "kernels/flash/float_forward.hpp"

namespace tessera::kernels::flash {

/// deltas (heads * B * S), as log_sum_exp: a warp a row of a head.
struct FloatDeltasBody {
  using Element = float;
  static constexpr int threads = 128;
  static constexpr int shared_bytes = 0;
  static constexpr int rows = threads / warp_size;

  [[nodiscard]] int blocks() const {
    return static_cast<int>((call.shape.positions * call.shape.batch * call.shape.heads + rows - 1) / rows);
  }

  template <class Thread>
  TESSERA_TILE_FUNCTION void operator()(Thread const& thread, int block) const {
    std::ptrdiff_t const index = static_cast<std::ptrdiff_t>(block) * rows + thread.warp();
    if (index >= call.shape.positions * call.shape.batch * call.shape.heads) return;
    float sum = 0;
    for (std::ptrdiff_t d = thread.lane(); d < call.shape.head_size; d += warp_size) {
      std::ptrdiff_t const element = index * call.shape.head_size + d;
      sum = math::fma(call.out[element], call.dout[element], sum);
    }
    TESSERA_UNROLL
    for (int mask = 1; mask < warp_size; mask *= 2) sum += thread.shuffle_xor(sum, mask);
    std::ptrdiff_t const row = index / call.shape.heads;
    std::ptrdiff_t const pair = index % call.shape.heads * call.shape.batch + row % call.shape.batch;
    if (thread.lane() == 0) deltas[pair * call.shape.positions + row / call.shape.batch] = sum;
  }

  attention::Backward<float> call;
  float* deltas;
};

/// Both passes: five tiles in shared memory, the own two, the two that pass by, and weights.
template <int D>
struct FloatBackward {
  using Element = float;
  static constexpr int threads = float_threads;
  static constexpr std::uint32_t tile_at(int index) {
    return static_cast<std::uint32_t>(index) * float_tile_bytes<D>;
  }
  static constexpr std::uint32_t weights_at = tile_at(4);
  static constexpr std::uint32_t numbers_at = weights_at + float_tile_bytes<float_tile>;
  static constexpr int shared_bytes = static_cast<int>(numbers_at) + 2 * float_tile * 4;

  [[nodiscard]] int blocks() const { return block_count(call.shape, float_tile); }

  /// Rows [first, first + float_tile) of part 0, 1, 2 of qkv, or 3 for dout, into tile `index`.
  template <class Thread>
  TESSERA_TILE_FUNCTION void load(Thread const& thread, attention::Place place, int part, int first,
                                  int index) const {
    std::ptrdiff_t const width = call.shape.heads * call.shape.head_size;
    auto const rows = part < 3 ? attention::head_rows(call.shape, call.qkv, 3 * width, place, part)
                               : attention::head_rows(call.shape, call.dout, width, place, 0);
    load_float_rows<D>(thread, rows, first, static_cast<int>(call.shape.positions),
                       static_cast<int>(call.shape.head_size), thread.shared() + tile_at(index));
  }

  /// log_sum_exp and deltas of queries [first, first + float_tile).
  template <class Thread>
  TESSERA_TILE_FUNCTION void load_numbers(Thread const& thread, attention::Place place, int first) const {
    std::ptrdiff_t const base = (place.head * call.shape.batch + place.sequence) * call.shape.positions;
    if (thread.index() >= 2 * float_tile) return;
    int const query = first + thread.index() % float_tile;
    float const* const from = thread.index() < float_tile ? call.log_sum_exp : deltas;
    thread.store(thread.shared() + numbers_at + static_cast<std::uint32_t>(thread.index() * 4),
                 query < call.shape.positions ? from[base + query] : 0.0F);
  }

  /// A pair's dropped probability and the slope of its score. `row` is the query's of the tile of numbers.
  struct PairGradient {
    float probability, slope;
  };
  template <class Thread>
  TESSERA_TILE_FUNCTION PairGradient differentiate(Thread const& thread, HeadNumbers const& numbers,
                                                   int first, int row, int key, float score,
                                                   float product) const {
    std::uint32_t const at = thread.shared() + numbers_at + static_cast<std::uint32_t>(row * 4);
    float const log_sum_exp = thread.template load<float>(at);
    float const delta = thread.template load<float>(at + float_tile * 4);
    float const factor =
        call.factors.active() ? call.factors.template of<float>(numbers.bits(first + row, key)) : 1.0F;
    float const scale = attention::score_scale<float>(call.shape);
    float const p = key > first + row ? 0.0F : math::exp(math::fma(score, scale, -log_sum_exp));
    return {p * factor, p * math::fma(product, factor, -delta) * scale};
  }

  template <class Thread>
  TESSERA_TILE_FUNCTION void write(Thread const& thread, attention::Place place, int part, int first,
                                   float const (&sums)[4][D / 16]) const {
    std::ptrdiff_t const columns = 3 * call.shape.heads * call.shape.head_size;
    float const ones[4] = {1, 1, 1, 1};
    write_float_rows<D>(thread, sums, ones, attention::head_rows(call.shape, call.dqkv, columns, place, part),
                        first, static_cast<int>(call.shape.positions),
                        static_cast<int>(call.shape.head_size));
  }

  attention::Backward<float> call;
  float const* deltas;
};

template <int D>
struct FloatQueriesBody : FloatBackward<D> {
  using Base = FloatBackward<D>;

  template <class Thread>
  TESSERA_TILE_FUNCTION void operator()(Thread const& thread, int block) const {
    auto const [place, first] = block_place<true>(this->call.shape, block, float_tile);
    this->load(thread, place, 0, first, 0);
    this->load(thread, place, 3, first, 1);
    this->load_numbers(thread, place, first);
    float sums[4][D / 16];
    clear(sums);
    for (int key = 0; key <= first; key += float_tile) {
      this->load(thread, place, 1, key, 2);
      this->load(thread, place, 2, key, 3);
      thread.barrier();
      form_weights(thread, place, first, key);
      thread.barrier();
      add_weighted_float_rows<D>(thread, thread.shared() + Base::weights_at,
                                 thread.shared() + Base::tile_at(2), sums);
      thread.barrier();
    }
    this->write(thread, place, 0, first, sums);
  }

  template <class Thread>
  TESSERA_TILE_FUNCTION void form_weights(Thread const& thread, attention::Place place, int first,
                                          int key) const {
    float scores[4][4];
    float products[4][4];
    int const depth = depth_of(this->call.shape);
    std::uint32_t const shared = thread.shared();
    products_of_float_rows<D>(thread, depth, shared + Base::tile_at(0), shared + Base::tile_at(2), scores);
    products_of_float_rows<D>(thread, depth, shared + Base::tile_at(1), shared + Base::tile_at(3), products);
    HeadNumbers const numbers = numbers_of(this->call, place);
    TESSERA_UNROLL
    for (int i = 0; i < 4; ++i) {
      TESSERA_UNROLL
      for (int n = 0; n < 4; ++n) {
        products[i][n] = this->differentiate(thread, numbers, first, row_of(thread) + i,
                                             key + column_of(thread) + 16 * n, scores[i][n], products[i][n])
                             .slope;
      }
    }
    store_weights(thread, products, shared + Base::weights_at);
  }
};

/// Rows of results are keys, columns queries.
template <int D>
struct FloatKeysBody : FloatBackward<D> {
  using Base = FloatBackward<D>;

  template <class Thread>
  TESSERA_TILE_FUNCTION void operator()(Thread const& thread, int block) const {
    auto const [place, first] = block_place<false>(this->call.shape, block, float_tile);
    std::uint32_t const weights = thread.shared() + Base::weights_at;
    this->load(thread, place, 1, first, 0);
    this->load(thread, place, 2, first, 1);
    float dk[4][D / 16];
    float dv[4][D / 16];
    clear(dk);
    clear(dv);
    for (int query = first; query < this->call.shape.positions; query += float_tile) {
      this->load(thread, place, 0, query, 2);
      this->load(thread, place, 3, query, 3);
      this->load_numbers(thread, place, query);
      thread.barrier();
      float p[4][4];
      float slopes[4][4];
      form_weights(thread, place, first, query, p, slopes);
      store_weights(thread, p, weights);
      thread.barrier();
      add_weighted_float_rows<D>(thread, weights, thread.shared() + Base::tile_at(3), dv);
      thread.barrier();
      store_weights(thread, slopes, weights);
      thread.barrier();
      add_weighted_float_rows<D>(thread, weights, thread.shared() + Base::tile_at(2), dk);
      thread.barrier();
    }
    this->write(thread, place, 1, first, dk);
    this->write(thread, place, 2, first, dv);
  }

  template <class Thread>
  TESSERA_TILE_FUNCTION void form_weights(Thread const& thread, attention::Place place, int first, int query,
                                          float (&p)[4][4], float (&slopes)[4][4]) const {
    int const depth = depth_of(this->call.shape);
    std::uint32_t const shared = thread.shared();
    products_of_float_rows<D>(thread, depth, shared + Base::tile_at(0), shared + Base::tile_at(2), p);
    products_of_float_rows<D>(thread, depth, shared + Base::tile_at(1), shared + Base::tile_at(3), slopes);
    HeadNumbers const numbers = numbers_of(this->call, place);
    TESSERA_UNROLL
    for (int i = 0; i < 4; ++i) {
      TESSERA_UNROLL
      for (int n = 0; n < 4; ++n) {
        auto const pair = this->differentiate(thread, numbers, query, column_of(thread) + 16 * n,
                                              first + row_of(thread) + i, p[i][n], slopes[i][n]);
        p[i][n] = pair.probability;
        slopes[i][n] = pair.slope;
      }
    }
  }
};

}  // namespace tessera::kernels::flash
