// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The end of a residual branch: its bias, its dropout and the addition to the residual stream in one pass,
// and with the layer norm of the next branch in the same pass. All tensors are (n, D) token rows; probability
// 0 costs nothing.
#pragma once

#include "tessera/base/compute_types.hpp"
#include "tessera/base/views.hpp"
#include "tessera/kernels/dropout.hpp"

namespace tessera::kernels {

/// out = residual + dropout(branch + bias); bias (D). out may be residual, and branch where T is wide.
template <class T>
void bias_dropout_add(ExecutionSpace const& exec, ConstMatrix<Wide<T>> branch, ConstVector<Wide<T>> bias,
                      ConstMatrix<T> residual, DropoutRows const& dropout, Matrix<T> out);

/// dx = the gradient of the dropout's input: dy where kept, scaled, 0 elsewhere; a copy at probability 0. dx
/// may be dy.
template <class T>
void dropout_backward(ExecutionSpace const& exec, ConstMatrix<T> dy, DropoutRows const& dropout,
                      Matrix<T> dx);

/// bias_dropout_add into `out`, then layer_norm_forward of `out`: the same bits as the two calls, one pass
/// over memory.
template <class T>
void bias_dropout_add_layer_norm(ExecutionSpace const& exec, ConstMatrix<Wide<T>> branch,
                                 ConstVector<Wide<T>> bias, ConstMatrix<T> residual,
                                 DropoutRows const& dropout, ConstVector<Wide<T>> gamma,
                                 ConstVector<Wide<T>> beta, Wide<T> epsilon, Matrix<T> out, Matrix<T> y,
                                 Vector<Wide<T>> mean, Vector<Wide<T>> rstd);

}  // namespace tessera::kernels
