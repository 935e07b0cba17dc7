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
  using Element = typename Call::Element;
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

}  // namespace tessera::kernels::flash
