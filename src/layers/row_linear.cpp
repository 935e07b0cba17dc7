// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/layers/row_linear.hpp"

#include "tessera/kernels/bias.hpp"
#include "tessera/layers/product.hpp"
#include "tessera/layers/specs.hpp"
#include "tessera/layers/tile_sum.hpp"

namespace tessera::layers {

template <class T>
void RowLinear<T>::describe(std::vector<params::TensorSpec>& specs, std::string const& name, std::int64_t n,
                            std::int64_t k, int tiles, double stddev) {
  append(specs, cut_tensor(name + ".weight", {n}, k, {}, tiles, stddev));
  append(specs, replicated_tensor(name + ".bias", {n}, params::Completion::token_tiles, {0.0, 0.0}, false));
}

template <class T>
RowLinear<T>::RowLinear(params::ParameterStore<T>& store, std::vector<params::TensorSpec> const& specs,
                        int first, TileRange tiles)
    : store_(&store),
      weight_(store.add(specs[static_cast<std::size_t>(first)], tiles)),
      bias_(store.add(specs[static_cast<std::size_t>(first) + 1], TileRange::all(1))),
      n_(store[weight_].spec.outer) {}

template <class T>
template <class V>
Matrix<V> RowLinear<T>::as_matrix(Vector<V> tile) const {
  return Matrix<V>(tile.data(), static_cast<std::size_t>(n_), tile.extent(0) / static_cast<std::size_t>(n_));
}

template <class T>
Partial<Wide<T>> RowLinear<T>::forward(Context const& context, ShardedFeatures<T> x,
                                       Cube<Wide<T>> levels) const {
  return sum_over_tiles(context, (*store_)[weight_].tiles.count, levels, [&](int tile, Matrix<Wide<T>> out) {
    multiply_forward<T>(context, slice(x.value, static_cast<std::size_t>(tile)),
                        as_matrix(store_->weight(weight_, tile)), out);
  });
}

template <class T>
void RowLinear<T>::backward_input(Context const& context, Replicated<T> dy, ShardedFeatures<T> dx) const {
  for (int tile = 0; tile < (*store_)[weight_].tiles.count; ++tile) {
    multiply_input_gradient<T>(context, dy.value, as_matrix(store_->weight(weight_, tile)),
                               slice(dx.value, static_cast<std::size_t>(tile)));
    context.progress();
  }
}

template <class T>
void RowLinear<T>::backward_input_through_gelu(Context const& context, Replicated<T> dy,
                                               ShardedFeatures<T> before, ShardedFeatures<T> dbefore) const {
  for (int tile = 0; tile < (*store_)[weight_].tiles.count; ++tile) {
    auto const i = static_cast<std::size_t>(tile);
    multiply_through_gelu<T>(context, dy.value, as_matrix(store_->weight(weight_, tile)),
                             slice(before.value, i), slice(dbefore.value, i));
    context.progress();
  }
}

template <class T>
void RowLinear<T>::backward_weight(Context const& context, Replicated<T> dy, ShardedFeatures<T> x) const {
  for (int tile = 0; tile < (*store_)[weight_].tiles.count; ++tile) {
    multiply_weight_gradient<T>(context, dy.value, slice(x.value, static_cast<std::size_t>(tile)),
                                as_matrix(store_->gradient(weight_, tile, context.target.level)));
    context.progress();
  }
}

template <class T>
void RowLinear<T>::backward_bias(Context const& context, Residual<T> dy) const {
  kernels::column_sums_by_tile<T>(context.exec, dy.value, store_->partial_gradient(bias_),
                                  context.target.accumulate);
}

TESSERA_COMPUTE_TYPES(template class, RowLinear)

}  // namespace tessera::layers
