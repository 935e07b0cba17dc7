// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/layers/vocab_head.hpp"

#include <algorithm>

#include "tessera/comm/collectives.hpp"
#include "tessera/kernels/cross_entropy.hpp"
#include "tessera/layers/product.hpp"
#include "tessera/layers/tile_sum.hpp"

namespace tessera::layers {

template <class T>
HeadScratch<T>::HeadScratch(Arena& arena, TokenShape const& tokens, std::int64_t d,
                            TileRange vocabulary_tiles, std::int64_t tile_rows) {
  auto const tiles = static_cast<std::size_t>(vocabulary_tiles.count);
  auto const rows = static_cast<std::size_t>(tokens.rows());
  logits = arena.cube<T>(tiles, rows, static_cast<std::size_t>(tile_rows));
  sum_exp = arena.matrix<Wide<T>>(tiles, rows);
  target_logit = arena.matrix<Wide<T>>(tiles, rows);
  maximum = arena.vector<Wide<T>>(rows);
  levels = arena.cube<Wide<T>>(tile_sum_levels(vocabulary_tiles.count), rows, static_cast<std::size_t>(d));
}

template <class T>
VocabHead<T>::VocabHead(params::ParameterStore<T>& store, params::ParameterId table,
                        params::ParameterId gradient)
    : store_(&store), table_(table), gradient_(gradient), d_(store[table].spec.inner) {}

template <class T>
template <class V>
Matrix<V> VocabHead<T>::as_matrix(Vector<V> tile) const {
  return Matrix<V>(tile.data(), static_cast<std::size_t>(tile_rows()), static_cast<std::size_t>(d_));
}

template <class T>
std::int64_t VocabHead<T>::tile_rows() const {
  return (*store_)[table_].spec.padded_cut / tiles().total;
}

template <class T>
std::int64_t VocabHead<T>::first_row(int tile) const {
  return (tiles().first + tile) * tile_rows();
}

template <class T>
std::int64_t VocabHead<T>::valid_rows(int tile) const {
  return std::clamp<std::int64_t>((*store_)[table_].spec.cut - first_row(tile), 0, tile_rows());
}

template <class T>
void VocabHead<T>::make_loss(Context const& context, Replicated<T> x, Vector<std::int32_t const> targets,
                             Vector<Wide<T>> loss, HeadScratch<T> const& head) const {
  for (int tile = 0; tile < tiles().count; ++tile) {
    auto const logits = slice(head.logits, static_cast<std::size_t>(tile));
    multiply_forward<T>(context, x.value, as_matrix(store_->weight(table_, tile)), logits);
    kernels::cross_entropy_max<T>(context.exec, logits, valid_rows(tile), head.maximum, tile > 0);
    context.progress();
  }
  all_reduce_in_place(*context.tp, head.maximum, comm::Op::max, context.stream()).wait(context.stream());
  for (int tile = 0; tile < tiles().count; ++tile) {
    auto const i = static_cast<std::size_t>(tile);
    kernels::cross_entropy_sums<T>(context.exec, slice(head.logits, i), valid_rows(tile), head.maximum,
                                   targets, first_row(tile), slice(head.sum_exp, i),
                                   slice(head.target_logit, i));
  }
  for (auto const* sums : {&head.target_logit, &head.sum_exp}) {
    auto const sum = slice(*sums, 0);
    kernels::tree_sum<Wide<T>>(context.exec, *sums, sum);
    all_reduce_in_place(*context.tp, sum, comm::Op::sum, context.stream()).wait(context.stream());
  }
  kernels::cross_entropy_loss<Wide<T>>(context.exec, head.maximum, slice(head.sum_exp, 0),
                                       slice(head.target_logit, 0), loss);
}

template <class T>
void VocabHead<T>::loss(Context const& context, Residual<T> x, Vector<std::int32_t const> targets,
                        Vector<Wide<T>> loss, Scratch<T> const& scratch, HeadScratch<T> const& head) const {
  make_loss(context, gather(context, x, scratch.whole).wait(context), targets, loss, head);
}

template <class T>
Pending<Residual<Wide<T>>> VocabHead<T>::loss_and_gradient(Context const& context, Residual<T> x,
                                                           Vector<std::int32_t const> targets, Wide<T> scale,
                                                           Vector<Wide<T>> loss, Scratch<T> const& scratch,
                                                           HeadScratch<T> const& head) const {
  auto const whole = gather(context, x, scratch.whole).wait(context);
  make_loss(context, whole, targets, loss, head);
  auto const partial =
      sum_over_tiles(context, tiles().count, head.levels, [&](int tile, Matrix<Wide<T>> out) {
        auto const logits = slice(head.logits, static_cast<std::size_t>(tile));
        kernels::cross_entropy_backward<T>(context.exec, logits, valid_rows(tile), head.maximum,
                                           slice(head.sum_exp, 0), targets, first_row(tile), scale);
        multiply_input_gradient<T>(context, logits, as_matrix(store_->weight(table_, tile)), out);
      });
  auto dx = reduce(context, partial, scratch.branch);
  for (int tile = 0; tile < tiles().count; ++tile) {
    multiply_weight_gradient<T>(context, slice(head.logits, static_cast<std::size_t>(tile)), whole.value,
                                as_matrix(store_->gradient(gradient_, tile, context.target.level)));
    context.progress();
  }
  return dx;
}

template <class T>
void VocabHead<T>::logits_of_row(Context const& context, ConstMatrix<T> x, Matrix<T> logits) const {
  for (int tile = 0; tile < tiles().count; ++tile) {
    auto const row = slice(logits, static_cast<std::size_t>(tile));
    multiply_forward<T>(context, x, as_matrix(store_->weight(table_, tile)),
                        Matrix<T>(row.data(), 1, row.size()));
  }
}

TESSERA_COMPUTE_TYPES(template struct, HeadScratch)
TESSERA_COMPUTE_TYPES(template class, VocabHead)

}  // namespace tessera::layers
