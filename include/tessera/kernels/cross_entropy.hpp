// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Softmax cross entropy over a vocabulary cut into tiles, without gathering the logits: three numbers a token
// go between tiles (Megatron-LM, Shoeybi et al. 2019, section 3). The order is fixed by rule 11 of
// docs/numerics.md: the maximum over all tiles first, then the sums of exp of each tile, then the tree over
// tiles.
//
// A tile is logits (n, W); its column c is entry first_column + c of the vocabulary, and only the first
// `valid_columns` columns count: the rest is padding. Passes over the logits: forward reads them twice,
// backward reads and writes them once; exp is computed again rather than stored, which is cheaper than
// writing it. All but the logits and their gradient is in Wide<T>.
#pragma once

#include <cstdint>

#include "tessera/base/compute_types.hpp"
#include "tessera/base/views.hpp"

namespace tessera::kernels {

/// maximum[r] = the largest valid logit of row r (and of maximum[r], with `accumulate`); -infinity where a
/// tile is all padding. maximum (n).
template <class T>
void cross_entropy_max(ExecutionSpace const& exec, ConstMatrix<T> logits, std::int64_t valid_columns,
                       Vector<Wide<T>> maximum, bool accumulate);

/// sum_exp[r] = the sum of exp(logit - maximum[r]) over the tile's valid columns; target_logit[r] = the logit
/// of targets[r], +0 where the target is in another tile. maximum is that of all tiles. All vectors (n).
template <class T>
void cross_entropy_sums(ExecutionSpace const& exec, ConstMatrix<T> logits, std::int64_t valid_columns,
                        ConstVector<Wide<T>> maximum, Vector<std::int32_t const> targets,
                        std::int64_t first_column, Vector<Wide<T>> sum_exp, Vector<Wide<T>> target_logit);

/// loss[r] = log(sum_exp[r]) + maximum[r] - target_logit[r], all completed over tiles and (n).
template <class T>
void cross_entropy_loss(ExecutionSpace const& exec, ConstVector<T> maximum, ConstVector<T> sum_exp,
                        ConstVector<T> target_logit, Vector<T> loss);

/// In place: logits become scale (softmax - one-hot of the target), 0 in padding. `scale` is 1 / the number
/// of tokens a mean is taken over, loss scale included.
template <class T>
void cross_entropy_backward(ExecutionSpace const& exec, Matrix<T> logits, std::int64_t valid_columns,
                            ConstVector<Wide<T>> maximum, ConstVector<Wide<T>> sum_exp,
                            Vector<std::int32_t const> targets, std::int64_t first_column, Wide<T> scale);

}  // namespace tessera::kernels
