// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>

#include "tessera/base/views.hpp"
#include "tessera/kernels/tree.hpp"
#include "tessera/layers/context.hpp"
#include "tessera/layers/placement.hpp"

namespace tessera::layers {

/// Buffers that `sum_over_tiles` needs for `tiles` tiles of a rank.
inline std::size_t tile_sum_levels(int tiles) { return std::bit_width(static_cast<unsigned>(tiles)); }

/// This rank's part of the balanced binary tree of a sum over tiles, nearest neighbours first
/// (docs/numerics.md, rule 2); `reduce` continues the same tree over the ranks. `make(tile, out)` writes
/// summand `tile`. Summands are made in order into a stack of buffers and merged as in binary counting, so
/// `levels` holds tile_sum_levels(tiles) of them and not `tiles`: (levels, S*B, D).
template <class T, class Make>
Partial<T> sum_over_tiles(Context const& context, int tiles, Cube<T> levels, Make const& make) {
  std::size_t depth = 0;
  for (int tile = 0; tile < tiles; ++tile) {
    make(tile, slice(levels, depth++));
    context.progress();
    int const merges =
        tile + 1 == tiles ? static_cast<int>(depth) - 1 : std::countr_one(static_cast<unsigned>(tile));
    for (int i = 0; i < merges; ++i) {
      --depth;
      kernels::add_to<T>(context.exec, flat(slice(levels, depth - 1)), flat(slice(levels, depth)));
    }
  }
  return {slice(levels, 0)};
}

}  // namespace tessera::layers
