// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Memory and tile products of attention on a host. One thread works on one (sequence, head): its rows are
// packed into dense tiles first, since in the activations they lie many kilobytes apart.
#pragma once

#include "kernels/attention_call.hpp"
#include "kernels/micro_product.hpp"
#include "tessera/kernels/launch.hpp"

namespace tessera::kernels::attention {

/// Queries and keys of a tile: a constant of the arithmetic.
inline constexpr std::ptrdiff_t tile = 64;
/// Lanes in which the total of a row of probabilities is kept until its last key.
inline constexpr std::ptrdiff_t total_lanes = 16;

constexpr std::ptrdiff_t round_up(std::ptrdiff_t n, std::ptrdiff_t block) {
  return (n + block - 1) / block * block;
}

/// Side of the squares in which a tile is transposed.
inline constexpr std::ptrdiff_t side = 8;

/// Columns of a packed row of a head: its size, filled up with zeros to whole register blocks and squares.
template <class T>
std::ptrdiff_t padded_head(AttentionShape const& shape) {
  return round_up(shape.head_size, micro::block_columns<T> > side ? micro::block_columns<T> : side);
}

inline std::ptrdiff_t padded_positions(AttentionShape const& shape) {
  return round_up(shape.positions, tile);
}

/// to[s][d] = scale * from[s][d] for rows [first, first + tile), zero beyond the head and beyond the
/// positions.
template <class T>
void pack_rows(AttentionShape const& shape, HeadRows<T const> from, std::ptrdiff_t first, Wide<T> scale,
               std::ptrdiff_t width, Wide<T>* to) {
  for (std::ptrdiff_t s = 0; s < tile; ++s) {
    bool const there = first + s < shape.positions;
    T const* const row = from.data + (there ? first + s : 0) * from.stride;
    std::ptrdiff_t const own = there ? shape.head_size : 0;
    Wide<T>* const line = to + s * width;
    detail::independent(own, [&](std::ptrdiff_t d) { line[d] = scale * row[d]; });
    for (std::ptrdiff_t d = own; d < width; ++d) line[d] = Wide<T>(0);
  }
}

/// to[d][s] = from[s][d]: `from` is a packed tile (tile, width), `to` (width, tile).
template <class T>
void transpose_tile(T const* from, std::ptrdiff_t width, T* to) {
  for (std::ptrdiff_t d = 0; d < width; d += side) {
    for (std::ptrdiff_t s = 0; s < tile; s += side) {
      for (std::ptrdiff_t i = 0; i < side; ++i) {
        for (std::ptrdiff_t j = 0; j < side; ++j) to[(d + i) * tile + s + j] = from[(s + j) * width + d + i];
      }
    }
  }
}

/// scores (tile, tile) = left (tile, head) right (head, tile). On the diagonal only the register blocks that
/// touch keys at or before their queries are formed.
template <class T>
void score_tile(std::ptrdiff_t head, std::ptrdiff_t width, bool diagonal, T const* left, T const* right,
                T* scores) {
  for (std::ptrdiff_t j = 0; j < tile; j += micro::block_columns<T>) {
    std::ptrdiff_t const from = diagonal ? j / micro::block_rows * micro::block_rows : 0;
    for (std::ptrdiff_t i = from; i < tile; i += micro::block_rows) {
      micro::block<T>(head, {left + i * width, width, 1}, {right + j, tile}, {scores + i * tile + j, tile},
                      false);
    }
  }
}

/// sums (tile, width) += weights (tile, tile) rows (tile, width), weights[i][j] = 0 for j > i on the
/// diagonal.
template <class T>
void add_weighted_rows(std::ptrdiff_t width, bool diagonal, T const* weights, T const* rows, T* sums) {
  for (std::ptrdiff_t j = 0; j < width; j += micro::block_columns<T>) {
    for (std::ptrdiff_t i = 0; i < tile; i += micro::block_rows) {
      std::ptrdiff_t const keys = diagonal ? i + micro::block_rows : tile;
      micro::block<T>(keys, {weights + i * tile, tile, 1}, {rows + j, width}, {sums + i * width + j, width},
                      true);
    }
  }
}

/// sums (tile, width) += transposed weights (tile, tile) rows (tile, width): the same with keys and queries
/// swapped.
template <class T>
void add_weighted_rows_transposed(std::ptrdiff_t width, bool diagonal, T const* weights, T const* rows,
                                  T* sums) {
  for (std::ptrdiff_t j = 0; j < width; j += micro::block_columns<T>) {
    for (std::ptrdiff_t i = 0; i < tile; i += micro::block_rows) {
      std::ptrdiff_t const from = diagonal ? i : 0;
      micro::block<T>(tile - from, {weights + from * tile + i, 1, tile}, {rows + from * width + j, width},
                      {sums + i * width + j, width}, true);
    }
  }
}

/// Hands out parts of a thread's scratch memory, each on a cache line of its own.
template <class T>
class ScratchCursor {
 public:
  explicit ScratchCursor(T* begin) : begin_(begin) {}
  T* take(std::ptrdiff_t count) {
    T* const here = begin_ == nullptr ? nullptr : begin_ + used_;
    used_ += round_up(count, 64 / static_cast<std::ptrdiff_t>(sizeof(T)));
    return here;
  }
  [[nodiscard]] std::ptrdiff_t used() const { return used_; }

 private:
  T* begin_;
  std::ptrdiff_t used_ = 0;
};

/// What forward keeps of one (sequence, head): all keys transposed and all values, one tile of everything
/// else.
template <class T>
struct ForwardScratch {
  ForwardScratch(AttentionShape const& shape, T* begin) : ForwardScratch(shape, ScratchCursor<T>(begin)) {}
  T *keys, *values, *queries, *scores, *sums, *maximum, *total;
  std::ptrdiff_t size;

 private:
  ForwardScratch(AttentionShape const& shape, ScratchCursor<T> cursor)
      : keys(cursor.take(padded_positions(shape) * padded_head<T>(shape))),
        values(cursor.take(padded_positions(shape) * padded_head<T>(shape))),
        queries(cursor.take(tile * padded_head<T>(shape))),
        scores(cursor.take(tile * tile)),
        sums(cursor.take(tile * padded_head<T>(shape))),
        maximum(cursor.take(tile)),
        total(cursor.take(tile * total_lanes)),
        size(cursor.used()) {}
};

/// What backward keeps: all queries, output gradients and query gradients, one tile of everything else.
template <class T>
struct BackwardScratch {
  BackwardScratch(AttentionShape const& shape, T* begin) : BackwardScratch(shape, ScratchCursor<T>(begin)) {}
  T *queries, *douts, *dqueries, *deltas;
  T *keys, *keys_transposed, *values_transposed, *dkeys, *dvalues, *probabilities, *slopes;
  std::ptrdiff_t size;

 private:
  BackwardScratch(AttentionShape const& shape, ScratchCursor<T> cursor)
      : queries(cursor.take(padded_positions(shape) * padded_head<T>(shape))),
        douts(cursor.take(padded_positions(shape) * padded_head<T>(shape))),
        dqueries(cursor.take(padded_positions(shape) * padded_head<T>(shape))),
        deltas(cursor.take(padded_positions(shape))),
        keys(cursor.take(tile * padded_head<T>(shape))),
        keys_transposed(cursor.take(tile * padded_head<T>(shape))),
        values_transposed(cursor.take(tile * padded_head<T>(shape))),
        dkeys(cursor.take(tile * padded_head<T>(shape))),
        dvalues(cursor.take(tile * padded_head<T>(shape))),
        probabilities(cursor.take(tile * tile)),
        slopes(cursor.take(tile * tile)),
        size(cursor.used()) {}
};

}  // namespace tessera::kernels::attention
