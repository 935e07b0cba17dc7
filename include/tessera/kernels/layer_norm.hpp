// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Layer normalisation (Ba, Kiros, Hinton, "Layer Normalization", 2016): y = gamma (x - mean) rstd + beta with
// the mean and biased variance of each row, rstd = 1 / sqrt(variance + epsilon). Mean first, then the
// variance of the differences: no cancellation. Shapes: n token rows of D; statistics (n). The bits of a row
// depend on that row only.
#pragma once

#include "tessera/base/compute_types.hpp"
#include "tessera/base/views.hpp"

namespace tessera::kernels {

/// y, mean, rstd from x. y may be x.
template <class T>
void layer_norm_forward(ExecutionSpace const& exec, ConstMatrix<T> x, ConstVector<Wide<T>> gamma,
                        ConstVector<Wide<T>> beta, Wide<T> epsilon, Matrix<T> y, Vector<Wide<T>> mean,
                        Vector<Wide<T>> rstd);

/// dx = (or +=, with `accumulate_dx`) the gradient of x: with g = dy gamma and h = (x - mean) rstd,
/// rstd (g - sum(g)/D - h sum(g h)/D). dx may be dy when not accumulating, where T is
/// wide.
template <class T>
void layer_norm_backward(ExecutionSpace const& exec, ConstMatrix<Wide<T>> dy, ConstMatrix<T> x,
                         ConstVector<Wide<T>> gamma, ConstVector<Wide<T>> mean, ConstVector<Wide<T>> rstd,
                         Matrix<T> dx, bool accumulate_dx);

/// Per token tile (rule 8 of docs/numerics.md): dgamma[i] = sum of dy (x - mean) rstd and dbeta[i] = sum of
/// dy over tile i, the i-th of `tiles` equal runs of consecutive rows; `+=` with `accumulate`. Rows are added
/// one after another in blocks of 32, the sums of blocks one after another to the result. dgamma, dbeta
/// (tiles, D), tiles divides n.
template <class T>
void layer_norm_backward_parameters(ExecutionSpace const& exec, ConstMatrix<Wide<T>> dy, ConstMatrix<T> x,
                                    ConstVector<Wide<T>> mean, ConstVector<Wide<T>> rstd,
                                    Matrix<Wide<T>> dgamma, Matrix<Wide<T>> dbeta, bool accumulate);

}  // namespace tessera::kernels
