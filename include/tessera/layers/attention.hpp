// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/layers/column_linear.hpp"
#include "tessera/layers/row_linear.hpp"
#include "tessera/layers/scratch.hpp"

namespace tessera::layers {

/// What attention keeps for its backward pass, beside its input.
template <class T>
struct AttentionSaved {
  AttentionSaved() = default;
  AttentionSaved(Arena& arena, TokenShape const& tokens, BlockShape const& block);

  ShardedFeatures<T> qkv;       ///< (tiles, S*B, 3 D/T_H): q, k, v of the tile's heads
  ShardedFeatures<T> heads;     ///< (tiles, S*B, D/T_H): the heads' output
  Matrix<Wide<T>> log_sum_exp;  ///< (tiles, H/T_H * B * S)
};

/// Causal multi-head attention, heads cut over tp: q, k and v are one column-parallel linear with weight
/// (3, H, D/H, D), the output projection is row-parallel.
template <class T>
class Attention {
 public:
  /// Appends `<name>.qkv.*` and `<name>.out.*`; `output_stddev` is the projection's.
  static void describe(std::vector<params::TensorSpec>& specs, std::string const& name, std::int64_t d,
                       std::int64_t heads, int tiles, double stddev, double output_stddev);

  /// Registers what `describe` put at `specs[first]` and the three after it. `layer` is the global layer
  /// number.
  Attention(params::ParameterStore<T>& store, std::vector<params::TensorSpec> const& specs, int first,
            BlockShape const& block, std::int64_t layer, double dropout);

  /// The branch's output before bias and dropout, from the normed residual stream x. Writes saved, and
  /// scratch whole, levels, branch. Collective over tp.
  Pending<Residual<Wide<T>>> forward(Context const& context, Residual<T> x, AttentionSaved<T> const& saved,
                                     Scratch<T> const& scratch) const;
  /// The gradient of x from that of the branch's output (after the dropout's backward). Adds to the gradients
  /// of the layer's parameters while the last reduction is under way. Writes all of scratch but dbranch and
  /// dffn. Collective over tp.
  Pending<Residual<Wide<T>>> backward(Context const& context, Residual<T> dy, Residual<T> x,
                                      AttentionSaved<T> const& saved, Scratch<T> const& scratch) const;

  /// Bias of the output projection: (D).
  [[nodiscard]] Vector<Wide<T>> output_bias() const { return out_.bias(); }
  [[nodiscard]] params::Range range() const { return hull(qkv_.range(), out_.range()); }

 private:
  void heads_forward(Context const& context, AttentionSaved<T> const& saved) const;
  void heads_backward(Context const& context, AttentionSaved<T> const& saved,
                      Scratch<T> const& scratch) const;

  BlockShape block_;
  std::int64_t layer_;
  double dropout_;
  ColumnLinear<T> qkv_;
  RowLinear<T> out_;
};

TESSERA_COMPUTE_TYPES(extern template class, Attention)

}  // namespace tessera::layers
