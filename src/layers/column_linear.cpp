// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/layers/column_linear.hpp"

#include "tessera/kernels/bias.hpp"
#include "tessera/layers/product.hpp"
#include "tessera/layers/specs.hpp"
#include "tessera/layers/tile_sum.hpp"

namespace tessera::layers {

template <class T>
void ColumnLinear<T>::describe(std::vector<params::TensorSpec>& specs, std::string const& name,
                               std::vector<std::int64_t> const& parts, std::int64_t n,
                               std::vector<std::int64_t> const& n_inner, std::int64_t k, int tiles,
                               double stddev) {
  auto weight_inner = n_inner;
  weight_inner.push_back(k);
  append(specs, cut_tensor(name + ".weight", parts, n, weight_inner, tiles, stddev));
  auto bias = cut_tensor(name + ".bias", parts, n, n_inner, tiles, 0.0);
  bias.weight_decay = false;
  append(specs, bias);
}

template <class T>
ColumnLinear<T>::ColumnLinear(params::ParameterStore<T>& store, std::vector<params::TensorSpec> const& specs,
                              int first, TileRange tiles)
    : store_(&store),
      weight_(store.add(specs[static_cast<std::size_t>(first)], tiles)),
      bias_(store.add(specs[static_cast<std::size_t>(first) + 1], tiles)),
      k_(store[weight_].spec.shape.back()) {}

template <class T>
template <class V>
Matrix<V> ColumnLinear<T>::as_matrix(Vector<V> tile) const {
  return Matrix<V>(tile.data(), tile.extent(0) / static_cast<std::size_t>(k_), static_cast<std::size_t>(k_));
}

template <class T>
template <class Product>
void ColumnLinear<T>::for_tiles(Context const& context, Product const& product) const {
  for (int tile = 0; tile < (*store_)[weight_].tiles.count; ++tile) {
    TileBias<T> const bias{store_->value(bias_, tile), store_->weight(bias_, tile)};
    product(static_cast<std::size_t>(tile), as_matrix(store_->weight(weight_, tile)), bias);
    context.progress();
  }
}

template <class T>
void ColumnLinear<T>::forward(Context const& context, Replicated<T> x, ShardedFeatures<T> y) const {
  for_tiles(context, [&](std::size_t i, Matrix<T> weight, TileBias<T> const&) {
    multiply_forward<T>(context, x.value, weight, slice(y.value, i));
  });
}

template <class T>
void ColumnLinear<T>::forward_with_bias(Context const& context, Replicated<T> x, ShardedFeatures<T> y) const {
  for_tiles(context, [&](std::size_t i, Matrix<T> weight, TileBias<T> const& bias) {
    multiply_and_add_bias<T>(context, x.value, weight, bias, slice(y.value, i));
  });
}

template <class T>
void ColumnLinear<T>::forward_with_gelu(Context const& context, Replicated<T> x, ShardedFeatures<T> before,
                                        ShardedFeatures<T> y) const {
  for_tiles(context, [&](std::size_t i, Matrix<T> weight, TileBias<T> const& bias) {
    multiply_and_gelu<T>(context, x.value, weight, bias, slice(before.value, i), slice(y.value, i));
  });
}

template <class T>
Partial<Wide<T>> ColumnLinear<T>::backward_input(Context const& context, ShardedFeatures<T> dy,
                                                 Cube<Wide<T>> levels) const {
  return sum_over_tiles(context, (*store_)[weight_].tiles.count, levels, [&](int tile, Matrix<Wide<T>> out) {
    multiply_input_gradient<T>(context, slice(dy.value, static_cast<std::size_t>(tile)),
                               as_matrix(store_->weight(weight_, tile)), out);
  });
}

template <class T>
void ColumnLinear<T>::backward_parameters(Context const& context, ShardedFeatures<T> dy,
                                          Replicated<T> x) const {
  auto const& target = context.target;
  for (int tile = 0; tile < (*store_)[weight_].tiles.count; ++tile) {
    auto const dy_tile = slice(dy.value, static_cast<std::size_t>(tile));
    multiply_weight_gradient<T>(context, dy_tile, x.value,
                                as_matrix(store_->gradient(weight_, tile, target.level)));
    kernels::column_sums<T>(context.exec, dy_tile, store_->gradient(bias_, tile, target.level),
                            target.accumulate);
    context.progress();
  }
}

template <class T>
params::Range ColumnLinear<T>::range() const {
  return hull((*store_)[weight_].range, (*store_)[bias_].range);
}

TESSERA_COMPUTE_TYPES(template class, ColumnLinear)

}  // namespace tessera::layers
