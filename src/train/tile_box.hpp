// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Where tiles lie in their tensor, as boxes.
#pragma once

#include <optional>

#include "tessera/checkpoint/box.hpp"
#include "tessera/params/tensor_spec.hpp"

namespace tessera::train {

/// The part of the tensor that a run of its tiles holds, padding left out; nothing when all is padding.
[[nodiscard]] std::optional<checkpoint::Box> box_of_tiles(params::TensorSpec const& spec,
                                                          params::TileRange tiles);

/// Strides in elements of a tile in memory, which is (outer, padded_cut / tiles, inner) without gaps.
[[nodiscard]] std::vector<std::int64_t> strides_of_tile(params::TensorSpec const& spec);

}  // namespace tessera::train
