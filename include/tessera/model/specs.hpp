// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "tessera/model/config.hpp"
#include "tessera/params/tensor_spec.hpp"

namespace tessera::model {

/// Every tensor of the model in canonical order: the order of gradient norms, files and listings, the same on
/// every rank and layout. `tiles` cut F and V, `head_tiles` cut H.
///
///   embedding.tokens, embedding.positions,
///   layers.<i>.{attention_norm.{gamma,beta}, attention.{qkv,out}.{weight,bias}, mlp_norm.{gamma,beta},
///               mlp.{up,down}.{weight,bias}} for i = 0 .. L-1,
///   final_norm.{gamma,beta}
[[nodiscard]] std::vector<params::TensorSpec> tensor_specs(ModelConfig const& config, int tiles,
                                                           int head_tiles);

/// Places in the canonical list.
inline constexpr int embedding_specs = 0;
inline constexpr int specs_per_block = 12;
[[nodiscard]] constexpr int block_specs(std::int64_t layer) {
  return 2 + specs_per_block * static_cast<int>(layer);
}

}  // namespace tessera::model
