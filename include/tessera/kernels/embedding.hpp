// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Token and position embeddings. The token table is cut along its vocabulary: a call holds the rows
// [first_row, first_row + rows) of it. Token rows are sequence-major, r = s * batch + b. Token ids are
// checked where data enters, not here.
#pragma once

#include <cstdint>

#include "tessera/base/compute_types.hpp"
#include "tessera/base/views.hpp"
#include "tessera/kernels/dropout.hpp"

namespace tessera::kernels {

/// out[r] = (or +=, with `accumulate`) table[tokens[r] - first_row] + 0 where that row is held, +0 elsewhere:
/// what rows of a table on several ranks contribute to their sum. tokens (n), table (rows, D), out (n, D).
template <class T>
void embedding_forward(ExecutionSpace const& exec, Vector<std::int32_t const> tokens, ConstMatrix<T> table,
                       std::int64_t first_row, Matrix<Wide<T>> out, bool accumulate);

/// dtable[tokens[r] - first_row] += dy[r] for the rows held, in increasing r. dy (n, D), dtable (rows, D).
template <class T>
void embedding_backward(ExecutionSpace const& exec, Vector<std::int32_t const> tokens, ConstMatrix<T> dy,
                        std::int64_t first_row, Matrix<Wide<T>> dtable);

/// x[s * batch + b] = dropout(sum[s * batch + b] + table[first_position + s]), `sum` being the completed sum
/// of embedding_forward. sum, x (n, D), which may be one tensor where T is wide; table (P, D). The dropout's
/// batch and first position are those of `dropout`.
template <class T>
void position_forward(ExecutionSpace const& exec, ConstMatrix<Wide<T>> sum, ConstMatrix<T> table,
                      std::int64_t first_position, std::int64_t batch, DropoutRows const& dropout,
                      Matrix<T> x);

/// dtable[first_position + s] += the sum over b, in order, of dx[s * batch + b]. dx (n, D) is the gradient
/// behind the dropout, dtable (P, D).
template <class T>
void position_backward(ExecutionSpace const& exec, ConstMatrix<T> dx, std::int64_t first_position,
                       std::int64_t batch, Matrix<Wide<T>> dtable);

}  // namespace tessera::kernels
