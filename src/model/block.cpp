// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/model/block.hpp"

#include <fmt/format.h>

#include <cmath>

#include "tessera/kernels/residual.hpp"
#include "tessera/layers/dropout.hpp"
#include "tessera/model/specs.hpp"

namespace tessera::model {

using layers::Context;
using layers::RandomUse;
using layers::Residual;

namespace {

/// Places of the parts in the block's run of specs.
enum Part : int { attention_norm = 0, attention = 2, mlp_norm = 6, mlp = 8 };

}  // namespace

template <class T>
BlockSaved<T>::BlockSaved(Arena& arena, layers::TokenShape const& tokens, layers::BlockShape const& block)
    : attention_norm(arena, tokens),
      mlp_norm(arena, tokens),
      attention(arena, tokens, block),
      mlp(arena, tokens, block) {
  auto const rows = static_cast<std::size_t>(tokens.local_rows());
  auto const d = static_cast<std::size_t>(block.hidden_size);
  for (auto* residual : {&attention_input, &middle, &mlp_input, &output})
    residual->value = arena.matrix<T>(rows, d);
}

template <class T>
void Block<T>::describe(std::vector<params::TensorSpec>& specs, ModelConfig const& config, std::int64_t layer,
                        int tiles, int head_tiles) {
  auto const name = fmt::format("layers.{}.", layer);
  auto const d = config.hidden_size;
  // Radford et al., "Language Models are Unsupervised Multitask Learners", 2019: weights that feed the
  // residual stream start smaller with depth.
  double const output_stddev = config.init_stddev / std::sqrt(2.0 * static_cast<double>(config.layers));
  layers::Norm<T>::describe(specs, name + "attention_norm", d);
  layers::Attention<T>::describe(specs, name + "attention", d, config.heads, head_tiles, config.init_stddev,
                                 output_stddev);
  layers::Norm<T>::describe(specs, name + "mlp_norm", d);
  layers::Mlp<T>::describe(specs, name + "mlp", d, ffn_hidden_size(config), tiles, config.init_stddev,
                           output_stddev);
}

template <class T>
Block<T>::Block(params::ParameterStore<T>& store, std::vector<params::TensorSpec> const& specs,
                ModelConfig const& config, layers::BlockShape const& shape, std::int64_t layer)
    : layer_(layer),
      dropout_(config.hidden_dropout),
      attention_norm_(store, specs, block_specs(layer) + Part::attention_norm, config.layer_norm_epsilon),
      attention_(store, specs, block_specs(layer) + Part::attention, shape, layer, config.attention_dropout),
      mlp_norm_(store, specs, block_specs(layer) + Part::mlp_norm, config.layer_norm_epsilon),
      mlp_(store, specs, block_specs(layer) + Part::mlp, shape) {}

template <class T>
void Block<T>::forward(Context const& context, Residual<T> x, BlockSaved<T> const& saved,
                       layers::Scratch<T> const& scratch) const {
  attention_norm_.forward(context, x, saved.attention_input, saved.attention_norm);
  auto branch = attention_.forward(context, saved.attention_input, saved.attention, scratch).wait(context);
  kernels::bias_dropout_add_layer_norm<T>(
      context.exec, branch.value, attention_.output_bias(), x.value,
      layers::dropout_of_rows(context, dropout_, RandomUse::attention_output_dropout, layer_),
      mlp_norm_.gamma(), mlp_norm_.beta(), mlp_norm_.epsilon(), saved.middle.value, saved.mlp_input.value,
      saved.mlp_norm.mean, saved.mlp_norm.rstd);
  branch = mlp_.forward(context, saved.mlp_input, saved.mlp, scratch).wait(context);
  kernels::bias_dropout_add<T>(
      context.exec, branch.value, mlp_.output_bias(), saved.middle.value,
      layers::dropout_of_rows(context, dropout_, RandomUse::mlp_output_dropout, layer_), saved.output.value);
}

template <class T>
Residual<T> Block<T>::branch_gradient(Context const& context, Residual<T> d, RandomUse use,
                                      layers::Scratch<T> const& scratch) const {
  auto const dropout = layers::dropout_of_rows(context, dropout_, use, layer_);
  if (dropout.probability == 0) return d;
  kernels::dropout_backward<T>(context.exec, d.value, dropout, scratch.dbranch);
  return {scratch.dbranch};
}

template <class T>
void Block<T>::backward(Context const& context, Residual<T> d, Residual<T> x, BlockSaved<T> const& saved,
                        layers::Scratch<T> const& scratch) const {
  auto dbranch = branch_gradient(context, d, RandomUse::mlp_output_dropout, scratch);
  auto dy = mlp_.backward(context, dbranch, saved.mlp_input, saved.mlp, scratch).wait(context);
  mlp_norm_.backward(context, dy, saved.middle, saved.mlp_norm, d);
  dbranch = branch_gradient(context, d, RandomUse::attention_output_dropout, scratch);
  dy = attention_.backward(context, dbranch, saved.attention_input, saved.attention, scratch).wait(context);
  attention_norm_.backward(context, dy, x, saved.attention_norm, d);
}

TESSERA_COMPUTE_TYPES(template struct, BlockSaved)
TESSERA_COMPUTE_TYPES(template class, Block)

}  // namespace tessera::model
