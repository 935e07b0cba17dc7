// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/layers/attention.hpp"

#include "tessera/kernels/attention.hpp"

namespace tessera::layers {

namespace {

kernels::AttentionShape kernel_shape(Context const& context, BlockShape const& block) {
  return {static_cast<std::ptrdiff_t>(context.tokens.batch),
          static_cast<std::ptrdiff_t>(context.tokens.positions),
          static_cast<std::ptrdiff_t>(block.heads_per_tile()),
          static_cast<std::ptrdiff_t>(block.head_size())};
}

/// Dropout of the probabilities of owned tile `tile`.
kernels::DropoutHeads dropout_of_tile(Context const& context, BlockShape const& block, double probability,
                                      std::int64_t layer, int tile) {
  kernels::DropoutHeads dropout;
  dropout.probability = static_cast<float>(context.dropout(probability));
  dropout.site = context.site(RandomUse::attention_dropout, layer);
  dropout.first_sequence = context.first_sequence;
  dropout.first_head = (block.head_tiles.first + tile) * block.heads_per_tile();
  dropout.total_heads = block.heads;
  return dropout;
}

}  // namespace

template <class T>
AttentionSaved<T>::AttentionSaved(Arena& arena, TokenShape const& tokens, BlockShape const& block) {
  auto const tiles = static_cast<std::size_t>(block.head_tiles.count);
  auto const rows = static_cast<std::size_t>(tokens.rows());
  auto const width = static_cast<std::size_t>(block.head_tile_width());
  qkv.value = arena.cube<T>(tiles, rows, 3 * width);
  heads.value = arena.cube<T>(tiles, rows, width);
  log_sum_exp = arena.matrix<Wide<T>>(tiles, static_cast<std::size_t>(block.heads_per_tile()) * rows);
}

template <class T>
void Attention<T>::describe(std::vector<params::TensorSpec>& specs, std::string const& name, std::int64_t d,
                            std::int64_t heads, int tiles, double stddev, double output_stddev) {
  ColumnLinear<T>::describe(specs, name + ".qkv", {3}, heads, {d / heads}, d, tiles, stddev);
  RowLinear<T>::describe(specs, name + ".out", d, d, tiles, output_stddev);
}

template <class T>
Attention<T>::Attention(params::ParameterStore<T>& store, std::vector<params::TensorSpec> const& specs,
                        int first, BlockShape const& block, std::int64_t layer, double dropout)
    : block_(block),
      layer_(layer),
      dropout_(dropout),
      qkv_(store, specs, first, block.head_tiles),
      out_(store, specs, first + 2, block.head_tiles) {}

template <class T>
void Attention<T>::heads_forward(Context const& context, AttentionSaved<T> const& saved) const {
  for (int tile = 0; tile < block_.head_tiles.count; ++tile) {
    auto const i = static_cast<std::size_t>(tile);
    kernels::attention_forward<T>(context.exec, kernel_shape(context, block_), slice(saved.qkv.value, i),
                                  dropout_of_tile(context, block_, dropout_, layer_, tile),
                                  slice(saved.heads.value, i), slice(saved.log_sum_exp, i));
    context.progress();
  }
}

template <class T>
Pending<Residual<Wide<T>>> Attention<T>::forward(Context const& context, Residual<T> x,
                                                 AttentionSaved<T> const& saved,
                                                 Scratch<T> const& scratch) const {
  auto const whole = gather(context, x, scratch.whole).wait(context);
  qkv_.forward_with_bias(context, whole, saved.qkv);
  heads_forward(context, saved);
  return reduce(context, out_.forward(context, saved.heads, scratch.levels), scratch.branch);
}

template <class T>
void Attention<T>::heads_backward(Context const& context, AttentionSaved<T> const& saved,
                                  Scratch<T> const& scratch) const {
  for (int tile = 0; tile < block_.head_tiles.count; ++tile) {
    auto const i = static_cast<std::size_t>(tile);
    kernels::attention_backward<T>(
        context.exec, kernel_shape(context, block_), slice(saved.qkv.value, i), slice(saved.heads.value, i),
        slice(saved.log_sum_exp, i), slice(scratch.dheads, i),
        dropout_of_tile(context, block_, dropout_, layer_, tile), slice(scratch.dqkv, i));
    context.progress();
  }
}

template <class T>
Pending<Residual<Wide<T>>> Attention<T>::backward(Context const& context, Residual<T> dy, Residual<T> x,
                                                  AttentionSaved<T> const& saved,
                                                  Scratch<T> const& scratch) const {
  out_.backward_bias(context, dy);
  auto const whole_dy = gather(context, dy, scratch.whole).wait(context);
  auto whole_x = gather(context, x, scratch.whole_again);
  out_.backward_input(context, whole_dy, {scratch.dheads});
  out_.backward_weight(context, whole_dy, saved.heads);
  heads_backward(context, saved, scratch);
  ShardedFeatures<T> const dqkv{scratch.dqkv};
  auto dx = reduce(context, qkv_.backward_input(context, dqkv, scratch.levels), scratch.branch);
  qkv_.backward_parameters(context, dqkv, whole_x.wait(context));
  return dx;
}

TESSERA_COMPUTE_TYPES(template struct, AttentionSaved)
TESSERA_COMPUTE_TYPES(template class, Attention)

}  // namespace tessera::layers
