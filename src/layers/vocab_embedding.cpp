// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/layers/vocab_embedding.hpp"

#include "tessera/kernels/embedding.hpp"
#include "tessera/kernels/residual.hpp"
#include "tessera/kernels/tree.hpp"
#include "tessera/layers/dropout.hpp"
#include "tessera/layers/specs.hpp"

namespace tessera::layers {

namespace {

/// Rows of a tile in memory are a multiple of this: on a device the rows of logits begin where its products
/// read fastest. Padding changes no result (rule 11 of docs/numerics.md).
constexpr std::int64_t tile_rows_multiple = tensors_on_host ? 1 : 64;

}  // namespace

template <class T>
void VocabEmbedding<T>::describe(std::vector<params::TensorSpec>& specs, std::int64_t vocabulary,
                                 std::int64_t positions, std::int64_t d, int tiles, double stddev) {
  auto table = cut_tensor("embedding.tokens", {}, vocabulary, {d}, tiles, stddev);
  std::int64_t const width = table.padded_cut / tiles;
  table.padded_cut = (width + tile_rows_multiple - 1) / tile_rows_multiple * tile_rows_multiple * tiles;
  append(specs, table);
  append(specs, replicated_tensor("embedding.positions", {positions, d}, params::Completion::token_rows,
                                  {0.0, stddev}, true));
}

template <class T>
VocabEmbedding<T>::VocabEmbedding(params::ParameterStore<T>& store,
                                  std::vector<params::TensorSpec> const& specs, int first, TileRange tiles,
                                  double dropout)
    : store_(&store),
      tokens_(store.add(specs[static_cast<std::size_t>(first)], tiles)),
      positions_(store.add(specs[static_cast<std::size_t>(first) + 1], TileRange::all(1))),
      d_(specs[static_cast<std::size_t>(first)].inner),
      dropout_(dropout) {}

template <class T>
template <class V>
Matrix<V> VocabEmbedding<T>::as_matrix(Vector<V> tile) const {
  return Matrix<V>(tile.data(), tile.extent(0) / static_cast<std::size_t>(d_), static_cast<std::size_t>(d_));
}

template <class T>
void VocabEmbedding<T>::forward(Context const& context, Vector<std::int32_t const> tokens, Residual<T> x,
                                Scratch<T> const& scratch) const {
  auto const& parameter = (*store_)[tokens_];
  Partial<Wide<T>> const partial{slice(scratch.levels, 0)};
  for (int tile = 0; tile < parameter.tiles.count; ++tile) {
    auto const table = as_matrix(store_->weight(tokens_, tile));
    auto const first_row = (parameter.tiles.first + tile) * static_cast<std::int64_t>(table.extent(0));
    kernels::embedding_forward<T>(context.exec, tokens, table, first_row, partial.value, tile > 0);
  }
  auto const sum = reduce(context, partial, scratch.branch).wait(context);
  kernels::position_forward<T>(context.exec, sum.value, as_matrix(store_->weight(positions_)),
                               context.tokens.first_position(), context.tokens.batch,
                               dropout_of_rows(context, dropout_, RandomUse::embedding_dropout, 0), x.value);
}

template <class T>
void VocabEmbedding<T>::backward(Context const& context, Vector<std::int32_t const> tokens, Residual<T> dx,
                                 Scratch<T> const& scratch) const {
  auto const dropout = dropout_of_rows(context, dropout_, RandomUse::embedding_dropout, 0);
  Residual<T> dsum = dx;
  if (dropout.probability > 0) {
    dsum.value = scratch.dbranch;
    kernels::dropout_backward<T>(context.exec, dx.value, dropout, dsum.value);
  }
  auto whole = gather(context, dsum, scratch.whole);
  auto const& target = context.target;
  auto const dpositions = store_->gradient(positions_, 0, target.level);
  if (!target.accumulate) kernels::fill<Wide<T>>(context.exec, dpositions, 0);
  kernels::position_backward<T>(context.exec, dsum.value, context.tokens.first_position(),
                                context.tokens.batch, as_matrix(dpositions));
  auto const dwhole = whole.wait(context);
  auto const& parameter = (*store_)[tokens_];
  for (int tile = 0; tile < parameter.tiles.count; ++tile) {
    auto const dtable = store_->gradient(tokens_, tile, target.level);
    if (!target.accumulate) kernels::fill<Wide<T>>(context.exec, dtable, 0);
    auto const rows = static_cast<std::int64_t>(dtable.extent(0)) / d_;
    kernels::embedding_backward<T>(context.exec, tokens, dwhole.value, (parameter.tiles.first + tile) * rows,
                                   as_matrix(dtable));
    context.progress();
  }
}

TESSERA_COMPUTE_TYPES(template class, VocabEmbedding)

}  // namespace tessera::layers
