// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/layers/scratch.hpp"

#include <algorithm>

#include "tessera/layers/tile_sum.hpp"

namespace tessera::layers {

template <class T>
Scratch<T>::Scratch(Arena& arena, TokenShape const& tokens, BlockShape const& block, bool sequence_parallel,
                    bool training) {
  auto const rows = static_cast<std::size_t>(tokens.rows());
  auto const local_rows = static_cast<std::size_t>(tokens.local_rows());
  auto const d = static_cast<std::size_t>(block.hidden_size);
  levels =
      arena.cube<Wide<T>>(tile_sum_levels(std::max(block.head_tiles.count, block.ffn_tiles.count)), rows, d);
  if (sequence_parallel) {
    whole = arena.matrix<T>(rows, d);
    branch = arena.matrix<Wide<T>>(local_rows, d);
  }
  if (!training) return;
  if (sequence_parallel) whole_again = arena.matrix<T>(rows, d);
  dbranch = arena.matrix<T>(local_rows, d);
  dffn = arena.cube<T>(static_cast<std::size_t>(block.ffn_tiles.count), rows,
                       static_cast<std::size_t>(block.ffn_tile_width()));
  auto const head_tiles = static_cast<std::size_t>(block.head_tiles.count);
  auto const head_width = static_cast<std::size_t>(block.head_tile_width());
  dqkv = arena.cube<T>(head_tiles, rows, 3 * head_width);
  dheads = arena.cube<T>(head_tiles, rows, head_width);
}

TESSERA_COMPUTE_TYPES(template struct, Scratch)

}  // namespace tessera::layers
