// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/base/arena.hpp"
#include "tessera/layers/context.hpp"

namespace tessera::layers {

/// The sizes of a transformer block and how they are cut.
struct BlockShape {
  std::int64_t hidden_size = 0;  ///< D
  std::int64_t ffn_size = 0;     ///< F
  std::int64_t heads = 0;        ///< H
  TileRange head_tiles;          ///< this rank's tiles of the T_H that cut the heads
  TileRange ffn_tiles;           ///< this rank's tiles of the T that cut F

  [[nodiscard]] std::int64_t head_size() const { return hidden_size / heads; }
  [[nodiscard]] std::int64_t heads_per_tile() const { return heads / head_tiles.total; }
  /// D / T_H.
  [[nodiscard]] std::int64_t head_tile_width() const { return hidden_size / head_tiles.total; }
  /// F / T.
  [[nodiscard]] std::int64_t ffn_tile_width() const { return ffn_size / ffn_tiles.total; }
};

/// Memory that lives within one forward or backward call of a layer. One for all layers of a stage; the names
/// say what a buffer holds at its widest, each layer's header which ones it writes.
template <class T>
struct Scratch {
  Scratch() = default;
  /// Takes the buffers of `blocks` in `training` or for evaluation alone.
  Scratch(Arena& arena, TokenShape const& tokens, BlockShape const& block, bool sequence_parallel,
          bool training);

  Matrix<T> whole;         ///< (S*B, D) a gathered activation; empty without SP
  Matrix<T> whole_again;   ///< (S*B, D) one gathered a second time for the weight gradient; empty without SP
  Cube<Wide<T>> levels;    ///< (levels, S*B, D) sums over tiles
  Matrix<Wide<T>> branch;  ///< rows of the residual stream: a completed sum; empty without SP
  Matrix<T> dbranch;       ///< rows of the residual stream: gradient of a branch after its dropout
  Cube<T> dffn;            ///< (tiles, S*B, F/T)
  Cube<T> dqkv;            ///< (tiles, S*B, 3 D/T_H)
  Cube<T> dheads;          ///< (tiles, S*B, D/T_H)
};

TESSERA_COMPUTE_TYPES(extern template struct, Scratch)

}  // namespace tessera::layers
