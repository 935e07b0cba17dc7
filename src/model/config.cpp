// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/model/config.hpp"

namespace tessera::model {

std::int64_t ffn_hidden_size(ModelConfig const& config) {
  return config.ffn_hidden_size > 0 ? config.ffn_hidden_size : 4 * config.hidden_size;
}

std::int64_t parameter_count(ModelConfig const& config) {
  std::int64_t const d = config.hidden_size;
  std::int64_t const f = ffn_hidden_size(config);
  std::int64_t const norms = 4 * d;
  std::int64_t const attention = 4 * d * d + 4 * d;
  std::int64_t const mlp = 2 * d * f + f + d;
  std::int64_t const embeddings = (config.vocab_size + config.max_positions) * d;
  return embeddings + config.layers * (norms + attention + mlp) + 2 * d;
}

double flops_per_token(ModelConfig const& config, std::int64_t seq_length) {
  double const attention = 12.0 * static_cast<double>(config.layers) *
                           static_cast<double>(config.hidden_size) * static_cast<double>(seq_length);
  return 6.0 * static_cast<double>(parameter_count(config)) + attention;
}

}  // namespace tessera::model
