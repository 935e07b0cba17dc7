// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The Gaussian error linear unit in its tanh form (Hendrycks and Gimpel 2016, section 2), as GPT-2 has it:
// gelu(x) = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
#pragma once

#include "tessera/base/compute_types.hpp"
#include "tessera/base/views.hpp"

namespace tessera::kernels {

/// pre += bias, kept for backward; out = gelu(pre). pre, out (n, W), bias (W). out may be pre where no
/// backward follows.
template <class T>
void bias_gelu_forward(ExecutionSpace const& exec, Matrix<T> pre, ConstVector<Wide<T>> bias, Matrix<T> out);

/// dpre = dout gelu'(pre), all (n, W); dpre may be dout.
template <class T>
void gelu_backward(ExecutionSpace const& exec, ConstMatrix<T> dout, ConstMatrix<T> pre, Matrix<T> dpre);

}  // namespace tessera::kernels
