// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/model/specs.hpp"

#include "tessera/layers/vocab_embedding.hpp"
#include "tessera/model/block.hpp"

namespace tessera::model {

std::vector<params::TensorSpec> tensor_specs(ModelConfig const& config, int tiles, int head_tiles) {
  std::vector<params::TensorSpec> specs;
  layers::VocabEmbedding<float>::describe(specs, config.vocab_size, config.max_positions, config.hidden_size,
                                          tiles, config.init_stddev);
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    Block<float>::describe(specs, config, layer, tiles, head_tiles);
  }
  layers::Norm<float>::describe(specs, "final_norm", config.hidden_size);
  return specs;
}

}  // namespace tessera::model
