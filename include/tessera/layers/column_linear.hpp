// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/layers/placement.hpp"
#include "tessera/params/parameter_store.hpp"

namespace tessera::layers {

/// A linear layer whose output features are cut over tp (Shoeybi et al., "Megatron-LM", 2019, section 3):
/// y = x W^T + b with W (N, K) cut along N. Forward needs no communication beyond the gather of x; backward
/// gives a Partial gradient of x.
template <class T>
class ColumnLinear {
 public:
  /// The specs of a layer `name` of `shape` = (parts..., N, K): the last but one dim is cut into `tiles`,
  /// leading ones (q, k, v) are kept whole. Appends `<name>.weight` and `<name>.bias` to the canonical list.
  /// `n_inner`: dims that N is made of behind the one that is cut (the head size); weights start normal with
  /// `stddev`.
  static void describe(std::vector<params::TensorSpec>& specs, std::string const& name,
                       std::vector<std::int64_t> const& parts, std::int64_t n,
                       std::vector<std::int64_t> const& n_inner, std::int64_t k, int tiles, double stddev);

  /// Registers weight and bias, described by `specs[first]` and `specs[first + 1]`; this rank owns `tiles`.
  ColumnLinear(params::ParameterStore<T>& store, std::vector<params::TensorSpec> const& specs, int first,
               TileRange tiles);

  /// y (tiles, S*B, N/T) = x (S*B, K) W^T, without the bias.
  void forward(Context const& context, Replicated<T> x, ShardedFeatures<T> y) const;

  /// y = x W^T + b.
  void forward_with_bias(Context const& context, Replicated<T> x, ShardedFeatures<T> y) const;
  /// before (tiles, S*B, N/T) = x W^T + b and y = gelu(before).
  void forward_with_gelu(Context const& context, Replicated<T> x, ShardedFeatures<T> before,
                         ShardedFeatures<T> y) const;

  /// Gives sum over this rank's tiles of dy W, dy (tiles, S*B, N/T): (S*B, K) in `levels` (see
  /// sum_over_tiles).
  Partial<Wide<T>> backward_input(Context const& context, ShardedFeatures<T> dy, Cube<Wide<T>> levels) const;
  /// Adds dy^T x and the column sums of dy to the gradients of weight and bias; dy (tiles, S*B, N/T),
  /// x (S*B, K).
  void backward_parameters(Context const& context, ShardedFeatures<T> dy, Replicated<T> x) const;

  /// Bias of one owned tile: (N/T).
  [[nodiscard]] Vector<Wide<T>> bias(int tile) const { return store_->value(bias_, tile); }
  /// Elements of the store that hold this layer's parameters.
  [[nodiscard]] params::Range range() const;

 private:
  template <class V>
  [[nodiscard]] Matrix<V> as_matrix(Vector<V> tile) const;
  /// product(i, weight, bias) for every owned tile.
  template <class Product>
  void for_tiles(Context const& context, Product const& product) const;

  params::ParameterStore<T>* store_;
  params::ParameterId weight_;
  params::ParameterId bias_;
  std::int64_t k_;
};

TESSERA_COMPUTE_TYPES(extern template class, ColumnLinear)

}  // namespace tessera::layers
