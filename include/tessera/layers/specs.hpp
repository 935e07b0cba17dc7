// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Makers of tensor specs. See TensorSpec for what is cut and what a tile is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tessera/params/tensor_spec.hpp"

namespace tessera::layers {

/// A tensor of shape (before..., n, after...) cut along n, which must be a multiple of `tiles` unless it is
/// padded to one in memory (vocabulary). Starts normal with mean 0 and `stddev`.
[[nodiscard]] params::TensorSpec cut_tensor(std::string name, std::vector<std::int64_t> const& before,
                                            std::int64_t n, std::vector<std::int64_t> const& after, int tiles,
                                            double stddev);

/// A tensor that every tp rank holds whole, whose gradient is completed over token positions.
[[nodiscard]] params::TensorSpec replicated_tensor(std::string name, std::vector<std::int64_t> shape,
                                                   params::Completion completion,
                                                   params::Initialisation initialisation, bool weight_decay);

}  // namespace tessera::layers
