// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/layers/placement.hpp"
#include "tessera/layers/scratch.hpp"
#include "tessera/params/parameter_store.hpp"

namespace tessera::layers {

/// Memory of the head within one call.
template <class T>
struct HeadScratch {
  HeadScratch() = default;
  HeadScratch(Arena& arena, TokenShape const& tokens, std::int64_t d, TileRange vocabulary_tiles,
              std::int64_t tile_rows);

  Cube<T> logits;                ///< (tiles, S*B, V/T), then their gradients
  Matrix<Wide<T>> sum_exp;       ///< (tiles, S*B), their sum in row 0
  Matrix<Wide<T>> target_logit;  ///< (tiles, S*B), their sum in row 0
  Vector<Wide<T>> maximum;       ///< (S*B)
  Cube<Wide<T>> levels;          ///< (levels, S*B, D)
};

/// Logits and their cross entropy, vocabulary cut over tp: the logits are never gathered, three numbers a
/// token cross the ranks (maximum, target's logit, sum of exponentials; Shoeybi et al., 2019). The weight is
/// the token embedding's table, or a copy of it on a later pipeline stage.
template <class T>
class VocabHead {
 public:
  /// `table` holds the values; `gradient` is where this role's gradient goes (the same id for a tied copy, a
  /// Role::tied_gradient where the stage also holds the embedding).
  VocabHead(params::ParameterStore<T>& store, params::ParameterId table, params::ParameterId gradient);

  /// loss (S*B): cross entropy of every token. x: rows of the normed residual stream; targets (S*B).
  /// Writes scratch whole. Collective over tp.
  void loss(Context const& context, Residual<T> x, Vector<std::int32_t const> targets, Vector<Wide<T>> loss,
            Scratch<T> const& scratch, HeadScratch<T> const& head) const;

  /// The same, and the gradient of `scale` times the summed loss: adds to the table's, returns that of x.
  /// Loss and gradient come in one call, so logits of one microbatch only are ever held, whatever the
  /// schedule.
  Pending<Residual<Wide<T>>> loss_and_gradient(Context const& context, Residual<T> x,
                                               Vector<std::int32_t const> targets, Wide<T> scale,
                                               Vector<Wide<T>> loss, Scratch<T> const& scratch,
                                               HeadScratch<T> const& head) const;

  /// This rank's logits of one row of the gathered, normed residual stream: (tiles, V/T) in `logits`. x (1,
  /// D).
  void logits_of_row(Context const& context, ConstMatrix<T> x, Matrix<T> logits) const;

  [[nodiscard]] params::Range range() const { return (*store_)[gradient_].range; }
  /// Rows of a tile, padding included: V/T.
  [[nodiscard]] std::int64_t tile_rows() const;
  [[nodiscard]] TileRange tiles() const { return (*store_)[table_].tiles; }

 private:
  template <class V>
  [[nodiscard]] Matrix<V> as_matrix(Vector<V> tile) const;
  [[nodiscard]] std::int64_t first_row(int tile) const;
  [[nodiscard]] std::int64_t valid_rows(int tile) const;
  void make_loss(Context const& context, Replicated<T> x, Vector<std::int32_t const> targets,
                 Vector<Wide<T>> loss, HeadScratch<T> const& head) const;

  params::ParameterStore<T>* store_;
  params::ParameterId table_;
  params::ParameterId gradient_;
  std::int64_t d_;
};

TESSERA_COMPUTE_TYPES(extern template struct, HeadScratch)
TESSERA_COMPUTE_TYPES(extern template class, VocabHead)

}  // namespace tessera::layers
