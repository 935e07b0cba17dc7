// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/layers/column_linear.hpp"
#include "tessera/layers/row_linear.hpp"
#include "tessera/layers/scratch.hpp"

namespace tessera::layers {

/// What the MLP keeps for its backward pass, beside its input.
template <class T>
struct MlpSaved {
  MlpSaved() = default;
  MlpSaved(Arena& arena, TokenShape const& tokens, BlockShape const& block);

  ShardedFeatures<T> before;  ///< (tiles, S*B, F/T): input of the activation, bias added
  ShardedFeatures<T> after;   ///< (tiles, S*B, F/T): its output
};

/// The feed-forward branch of GPT-2: up-projection (column-parallel), GELU in its tanh form, down-projection
/// (row-parallel).
template <class T>
class Mlp {
 public:
  /// Appends `<name>.up.*` and `<name>.down.*`; `output_stddev` is the down-projection's.
  static void describe(std::vector<params::TensorSpec>& specs, std::string const& name, std::int64_t d,
                       std::int64_t f, int tiles, double stddev, double output_stddev);

  /// Registers what `describe` put at `specs[first]` and the three after it.
  Mlp(params::ParameterStore<T>& store, std::vector<params::TensorSpec> const& specs, int first,
      BlockShape const& block);

  /// The branch's output before bias and dropout, from the normed residual stream x. Writes saved, and
  /// scratch whole, levels, branch. Collective over tp.
  Pending<Residual<Wide<T>>> forward(Context const& context, Residual<T> x, MlpSaved<T> const& saved,
                                     Scratch<T> const& scratch) const;
  /// The gradient of x from that of the branch's output. Adds to the gradients of the layer's parameters
  /// while the last reduction is under way. Writes scratch whole, whole_again, levels, branch, dffn.
  /// Collective over tp.
  Pending<Residual<Wide<T>>> backward(Context const& context, Residual<T> dy, Residual<T> x,
                                      MlpSaved<T> const& saved, Scratch<T> const& scratch) const;

  /// Bias of the down-projection: (D).
  [[nodiscard]] Vector<Wide<T>> output_bias() const { return down_.bias(); }
  [[nodiscard]] params::Range range() const { return hull(up_.range(), down_.range()); }

 private:
  ColumnLinear<T> up_;
  RowLinear<T> down_;
};

TESSERA_COMPUTE_TYPES(extern template class, Mlp)

}  // namespace tessera::layers
