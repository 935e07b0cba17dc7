// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "train/tile_box.hpp"

#include <algorithm>

#include "tessera/base/error.hpp"

namespace tessera::train {

namespace {

/// Which dim of `spec.shape` is cut. A tensor of one tile is not: whatever its dims, it lies there whole.
std::size_t cut_dim(params::TensorSpec const& spec) {
  std::int64_t before = 1;
  for (std::size_t dim = 0; dim < spec.shape.size(); ++dim) {
    if (before == spec.outer && spec.shape[dim] == spec.cut) return dim;
    before *= spec.shape[dim];
  }
  throw InternalError("tensor " + spec.name + " is cut along none of its dims");
}

}  // namespace

std::optional<checkpoint::Box> box_of_tiles(params::TensorSpec const& spec, params::TileRange tiles) {
  auto box = checkpoint::whole(spec.shape);
  if (spec.tiles == 1) return box;
  auto const dim = cut_dim(spec);
  std::int64_t const width = spec.padded_cut / spec.tiles;
  std::int64_t const begin = std::min(tiles.first * width, spec.cut),
                     end = std::min((tiles.first + tiles.count) * width, spec.cut);
  if (begin == end) return std::nullopt;
  box.offset[dim] = begin;
  box.extent[dim] = end - begin;
  return box;
}

std::vector<std::int64_t> strides_of_tile(params::TensorSpec const& spec) {
  auto extents = spec.shape;
  if (spec.tiles > 1) extents[cut_dim(spec)] = spec.padded_cut / spec.tiles;
  return checkpoint::row_major_strides(extents);
}

}  // namespace tessera::train
