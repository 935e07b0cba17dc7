// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Biases of linear layers and the column sums that are their gradients. Sums run down the rows one after
// another in blocks of 32, and the sums of blocks one after another; so the bits depend on the rows alone.
#pragma once

#include "tessera/base/compute_types.hpp"
#include "tessera/base/views.hpp"

namespace tessera::kernels {

/// x[r, c] += bias[c]; x (n, W), bias (W).
template <class T>
void add_bias(ExecutionSpace const& exec, Matrix<T> x, ConstVector<Wide<T>> bias);

/// out[c] = (or +=, with `accumulate`) the sum over all rows of x[:, c]; x (n, W), out (W).
template <class T>
void column_sums(ExecutionSpace const& exec, ConstMatrix<T> x, Vector<Wide<T>> out, bool accumulate);

/// The same for each of `tiles` equal runs of consecutive rows; out (tiles, W), tiles divides n.
template <class T>
void column_sums_by_tile(ExecutionSpace const& exec, ConstMatrix<T> x, Matrix<Wide<T>> out, bool accumulate);

}  // namespace tessera::kernels
