// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/layers/attention.hpp"
#include "tessera/layers/mlp.hpp"
#include "tessera/layers/norm.hpp"
#include "tessera/model/config.hpp"

namespace tessera::model {

/// What a block keeps for its backward pass, beside its input.
template <class T>
struct BlockSaved {
  BlockSaved() = default;
  BlockSaved(Arena& arena, layers::TokenShape const& tokens, layers::BlockShape const& block);

  layers::NormSaved<T> attention_norm, mlp_norm;
  layers::Residual<T> attention_input;  ///< normed residual stream
  layers::AttentionSaved<T> attention;
  layers::Residual<T> middle;  ///< residual stream between the two halves
  layers::Residual<T> mlp_input;
  layers::MlpSaved<T> mlp;
  layers::Residual<T> output;  ///< residual stream after the block
};

/// A transformer block with pre-normalisation (GPT-2): x + attention(norm(x)), then + mlp(norm(.)).
template <class T>
class Block {
 public:
  /// Appends the block's tensors to the canonical list.
  static void describe(std::vector<params::TensorSpec>& specs, ModelConfig const& config, std::int64_t layer,
                       int tiles, int head_tiles);

  /// Registers the tensors of global layer `layer`.
  Block(params::ParameterStore<T>& store, std::vector<params::TensorSpec> const& specs,
        ModelConfig const& config, layers::BlockShape const& shape, std::int64_t layer);

  /// saved.output = block(x). Collective over tp.
  void forward(layers::Context const& context, layers::Residual<T> x, BlockSaved<T> const& saved,
               layers::Scratch<T> const& scratch) const;
  /// Turns `d`, the gradient of the block's output, into that of its input x. Collective over tp.
  void backward(layers::Context const& context, layers::Residual<T> d, layers::Residual<T> x,
                BlockSaved<T> const& saved, layers::Scratch<T> const& scratch) const;

  /// Elements of the store that hold the block's cut tensors.
  [[nodiscard]] params::Range range() const { return hull(attention_.range(), mlp_.range()); }

 private:
  layers::Residual<T> branch_gradient(layers::Context const& context, layers::Residual<T> d,
                                      layers::RandomUse use, layers::Scratch<T> const& scratch) const;

  std::int64_t layer_;
  double dropout_;
  layers::Norm<T> attention_norm_;
  layers::Attention<T> attention_;
  layers::Norm<T> mlp_norm_;
  layers::Mlp<T> mlp_;
};

TESSERA_COMPUTE_TYPES(extern template struct, BlockSaved)
TESSERA_COMPUTE_TYPES(extern template class, Block)

}  // namespace tessera::model
