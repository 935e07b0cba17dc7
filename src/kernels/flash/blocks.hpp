// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// How attention is cut into the blocks of a launch.
#pragma once

#include "kernels/attention_call.hpp"
#include "kernels/flash/thread.hpp"

namespace tessera::kernels::flash {

/// Which queries or keys a block works on: those of one (sequence, head) follow each other, dearest first.
struct BlockPlace {
  attention::Place place;
  int first;
};
template <bool dearest_last>
TESSERA_TILE_FUNCTION BlockPlace block_place(AttentionShape const& shape, int block, int rows) {
  int const tiles = (static_cast<int>(shape.positions) + rows - 1) / rows;
  int const index = block % tiles;
  return {attention::place_of(shape, block / tiles), (dearest_last ? tiles - 1 - index : index) * rows};
}
inline int block_count(AttentionShape const& shape, int rows) {
  auto const positions = static_cast<int>(shape.positions);
  return static_cast<int>(shape.batch * shape.heads) * ((positions + rows - 1) / rows);
}

}  // namespace tessera::kernels::flash
