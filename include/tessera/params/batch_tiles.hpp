// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The order in which gradients of a step are added (docs/numerics.md, rule 3). The M microbatches of the
// global batch are cut into R batch tiles of M / R consecutive ones. Inside a tile they are added one after
// another into one accumulator; tiles are summed by the balanced binary tree, first those of one
// data-parallel replica, then over the replicas. With 8 microbatches, R = 4 and two replicas:
//
//   replica 0: tile 0 = mb 0, 1   tile 1 = mb 2, 3      replica 1: tile 2 = mb 4, 5   tile 3 = mb 6, 7
//              (tile 0 + tile 1)                    +              (tile 2 + tile 3)
//
// The local tree is a stack, as in binary counting: tile j of a replica accumulates into buffer popcount(j),
// and when it ends the top two buffers are merged once for every trailing one bit of j. After the last tile
// (their number is a power of two) the sum is in buffer 0.
#pragma once

#include <bit>

namespace tessera::params {

/// The share of one data-parallel replica in the batch tiles of a step.
struct BatchTiles {
  int count = 1;                  ///< batch tiles of this replica, a power of two
  int microbatches_per_tile = 1;  ///< M / R

  /// Microbatches of this replica in a step.
  [[nodiscard]] int microbatches() const { return count * microbatches_per_tile; }
  /// Gradient buffers the tree needs.
  [[nodiscard]] int levels() const { return std::bit_width(static_cast<unsigned>(count)); }
};

/// Where the gradient of one microbatch goes.
struct GradientTarget {
  int level = 0;             ///< gradient buffer
  bool accumulate = false;   ///< false for the first microbatch of a batch tile: overwrite
  bool last = true;          ///< the last microbatch of its batch tile
  int merges = 0;            ///< if last: how often the top two buffers are then merged
  bool last_of_step = true;  ///< the last microbatch of this replica
};

/// The target of the replica's microbatch `microbatch` (0 .. microbatches() - 1).
[[nodiscard]] inline GradientTarget gradient_target(BatchTiles const& tiles, int microbatch) {
  auto const tile = static_cast<unsigned>(microbatch / tiles.microbatches_per_tile);
  int const place = microbatch % tiles.microbatches_per_tile;
  bool const last = place == tiles.microbatches_per_tile - 1;
  return {std::popcount(tile), place != 0, last, last ? std::countr_one(tile) : 0,
          microbatch == tiles.microbatches() - 1};
}

}  // namespace tessera::params
