// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/layers/placement.hpp"
#include "tessera/params/parameter_store.hpp"

namespace tessera::layers {

/// A linear layer whose input features are cut over tp (Shoeybi et al., "Megatron-LM", 2019, section 3):
/// y = sum over tiles of x W^T, then + b once the sum is complete; W (N, K) is cut along K, b (N) is
/// replicated.
template <class T>
class RowLinear {
 public:
  /// Appends `<name>.weight` (N, K) and `<name>.bias` (N).
  static void describe(std::vector<params::TensorSpec>& specs, std::string const& name, std::int64_t n,
                       std::int64_t k, int tiles, double stddev);

  /// Registers weight and bias, described by `specs[first]` and `specs[first + 1]`; this rank owns `tiles`.
  RowLinear(params::ParameterStore<T>& store, std::vector<params::TensorSpec> const& specs, int first,
            TileRange tiles);

  /// x (tiles, S*B, K/T) W^T, to be completed by `reduce`; the bias is for the caller to add after that, with
  /// kernels::bias_dropout_add. (S*B, N) in `levels` (see sum_over_tiles).
  Partial<Wide<T>> forward(Context const& context, ShardedFeatures<T> x, Cube<Wide<T>> levels) const;

  /// dx (tiles, S*B, K/T) = dy (S*B, N) W.
  void backward_input(Context const& context, Replicated<T> dy, ShardedFeatures<T> dx) const;
  /// The same where the input is gelu(before): the gradient of `before`.
  void backward_input_through_gelu(Context const& context, Replicated<T> dy, ShardedFeatures<T> before,
                                   ShardedFeatures<T> dbefore) const;
  /// Adds dy^T x to the gradient of the weight; dy (S*B, N), x (tiles, S*B, K/T).
  void backward_weight(Context const& context, Replicated<T> dy, ShardedFeatures<T> x) const;
  /// Adds this rank's rows of dy (rows, N) to the bias' gradient by token tile.
  void backward_bias(Context const& context, Residual<T> dy) const;

  /// (N).
  [[nodiscard]] Vector<Wide<T>> bias() const { return store_->value(bias_); }
  /// Elements of the store that hold the weight; the bias lies with the replicated tensors.
  [[nodiscard]] params::Range range() const { return (*store_)[weight_].range; }

 private:
  template <class V>
  [[nodiscard]] Matrix<V> as_matrix(Vector<V> tile) const;

  params::ParameterStore<T>* store_;
  params::ParameterId weight_;
  params::ParameterId bias_;
  std::int64_t n_;
};

TESSERA_COMPUTE_TYPES(extern template class, RowLinear)

}  // namespace tessera::layers
