// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The shape of a model of the GPT-2 family (Radford et al., "Language Models are Unsupervised Multitask
// Learners", 2019): learned positions, LayerNorm before each half of a block and after the last one, tanh
// GELU, biases, token embedding tied to the output head. Letters as in README.md: L layers, D hidden size, H
// heads, F feed-forward size, V vocabulary, S sequence length.
#pragma once

#include <cstdint>
#include <string>

namespace tessera::model {

/// Everything that fixes the parameters of a model and their initial values, apart from the seed. The
/// defaults are the shape of inputs/tiny.toml. Values are checked by train::problems, not here.
struct ModelConfig {
  std::string name = "tiny";         ///< for messages only
  std::int64_t layers = 4;           ///< L
  std::int64_t hidden_size = 128;    ///< D, a multiple of `heads`
  std::int64_t heads = 8;            ///< H
  std::int64_t ffn_hidden_size = 0;  ///< F; 0 stands for 4 D
  std::int64_t vocab_size = 256;     ///< V, the true one: padding to tiles is never part of it
  std::int64_t max_positions = 256;  ///< rows of the position embedding, at least S
  double attention_dropout = 0;      ///< probability in [0, 1), of attention weights
  double hidden_dropout = 0;  ///< probability in [0, 1), after the embedding and both halves of a block
  double layer_norm_epsilon = 1e-5;  ///< added to the variance
  double init_stddev = 0.02;         ///< of weights; those that feed the residual stream get it / sqrt(2 L)

  bool operator==(ModelConfig const&) const = default;
};

/// F: the value given, or 4 D.
[[nodiscard]] std::int64_t ffn_hidden_size(ModelConfig const& config);

/// Number of trainable parameters of the true shape, without padding; the tied embedding counts once:
/// (V + positions) D + L (4 D^2 + 2 D F + F + 9 D) + 2 D. The shape of GPT-3 (Brown et al. 2020, table 2.1)
/// gives 174,604,259,328.
[[nodiscard]] std::int64_t parameter_count(ModelConfig const& config);

/// Floating-point operations of one token of training at S = `seq_length`, forward and backward:
/// 6 N + 12 L D S (Chowdhery et al., "PaLM", 2022, appendix B). N is parameter_count, all parameters as llm.c
/// counts them; nanoGPT leaves out the position embedding, which is less than 1 % of any useful model. The
/// second term counts all S x S scores although causal attention needs half of them: the field's convention.
[[nodiscard]] double flops_per_token(ModelConfig const& config, std::int64_t seq_length);

}  // namespace tessera::model
