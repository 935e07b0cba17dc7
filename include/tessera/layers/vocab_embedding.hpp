// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/layers/placement.hpp"
#include "tessera/layers/scratch.hpp"
#include "tessera/params/parameter_store.hpp"

namespace tessera::layers {

/// Token and position embedding. The token table (V, D) is cut along V over tp: each rank looks its own rows
/// up and the sum over tp is the embedding (Shoeybi et al., 2019). The position table (P, D) is replicated;
/// under SP each rank adds, and gets gradients for, its own positions.
template <class T>
class VocabEmbedding {
 public:
  /// Appends `embedding.tokens` and `embedding.positions`.
  static void describe(std::vector<params::TensorSpec>& specs, std::int64_t vocabulary,
                       std::int64_t positions, std::int64_t d, int tiles, double stddev);

  /// Registers what `describe` put at `specs[first]` and the one after it.
  VocabEmbedding(params::ParameterStore<T>& store, std::vector<params::TensorSpec> const& specs, int first,
                 TileRange tiles, double dropout);

  /// `x`, rows of the residual stream, = dropout(tokens' embedding + positions'). tokens (S*B). Writes
  /// scratch levels and branch. Collective over tp.
  void forward(Context const& context, Vector<std::int32_t const> tokens, Residual<T> x,
               Scratch<T> const& scratch) const;
  /// Adds to both tables' gradients. Writes scratch whole and dbranch. Collective over tp.
  void backward(Context const& context, Vector<std::int32_t const> tokens, Residual<T> dx,
                Scratch<T> const& scratch) const;

  /// The token table, for the head that shares it.
  [[nodiscard]] params::ParameterId table() const { return tokens_; }
  [[nodiscard]] params::Range range() const { return (*store_)[tokens_].range; }

 private:
  template <class V>
  [[nodiscard]] Matrix<V> as_matrix(Vector<V> tile) const;

  params::ParameterStore<T>* store_;
  params::ParameterId tokens_;
  params::ParameterId positions_;
  std::int64_t d_;
  double dropout_;
};

TESSERA_COMPUTE_TYPES(extern template class, VocabEmbedding)

}  // namespace tessera::layers
