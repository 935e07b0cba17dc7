// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/layers/mlp.hpp"

namespace tessera::layers {

template <class T>
MlpSaved<T>::MlpSaved(Arena& arena, TokenShape const& tokens, BlockShape const& block) {
  auto const tiles = static_cast<std::size_t>(block.ffn_tiles.count);
  auto const rows = static_cast<std::size_t>(tokens.rows());
  auto const width = static_cast<std::size_t>(block.ffn_tile_width());
  before.value = arena.cube<T>(tiles, rows, width);
  after.value = arena.cube<T>(tiles, rows, width);
}

template <class T>
void Mlp<T>::describe(std::vector<params::TensorSpec>& specs, std::string const& name, std::int64_t d,
                      std::int64_t f, int tiles, double stddev, double output_stddev) {
  ColumnLinear<T>::describe(specs, name + ".up", {}, f, {}, d, tiles, stddev);
  RowLinear<T>::describe(specs, name + ".down", d, f, tiles, output_stddev);
}

template <class T>
Mlp<T>::Mlp(params::ParameterStore<T>& store, std::vector<params::TensorSpec> const& specs, int first,
            BlockShape const& block)
    : up_(store, specs, first, block.ffn_tiles), down_(store, specs, first + 2, block.ffn_tiles) {}

template <class T>
Pending<Residual<Wide<T>>> Mlp<T>::forward(Context const& context, Residual<T> x, MlpSaved<T> const& saved,
                                           Scratch<T> const& scratch) const {
  up_.forward_with_gelu(context, gather(context, x, scratch.whole).wait(context), saved.before, saved.after);
  return reduce(context, down_.forward(context, saved.after, scratch.levels), scratch.branch);
}

template <class T>
Pending<Residual<Wide<T>>> Mlp<T>::backward(Context const& context, Residual<T> dy, Residual<T> x,
                                            MlpSaved<T> const& saved, Scratch<T> const& scratch) const {
  ShardedFeatures<T> const dffn{scratch.dffn};
  down_.backward_bias(context, dy);
  auto const whole_dy = gather(context, dy, scratch.whole).wait(context);
  auto whole_x = gather(context, x, scratch.whole_again);
  down_.backward_input_through_gelu(context, whole_dy, saved.before, dffn);
  down_.backward_weight(context, whole_dy, saved.after);
  auto dx = reduce(context, up_.backward_input(context, dffn, scratch.levels), scratch.branch);
  up_.backward_parameters(context, dffn, whole_x.wait(context));
  return dx;
}

TESSERA_COMPUTE_TYPES(template struct, MlpSaved)
TESSERA_COMPUTE_TYPES(template class, Mlp)

}  // namespace tessera::layers
