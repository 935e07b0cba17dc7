// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/kernels/matmul.hpp"
#include "tessera/layers/context.hpp"

namespace tessera::layers {

// The result of a product is T, or Wide<T> where it is a summand of something larger: C says which.

/// y (n, w) = x (n, k) W^T with W (w, k): the forward product of a linear layer.
template <class T, class C>
void multiply_forward(Context const& context, ConstMatrix<T> x, ConstMatrix<T> weight, Matrix<C> y) {
  auto const n = static_cast<std::ptrdiff_t>(x.extent(0)), k = static_cast<std::ptrdiff_t>(x.extent(1));
  auto const w = static_cast<std::ptrdiff_t>(weight.extent(0));
  kernels::matmul<T>(*context.matmul, context.exec,
                     {kernels::Transpose::no, kernels::Transpose::yes, n, w, k, k, k, w}, x.data(),
                     weight.data(), 0, y.data());
}

/// dx (n, k) = dy (n, w) W: the product for the input's gradient.
template <class T, class C>
void multiply_input_gradient(Context const& context, ConstMatrix<T> dy, ConstMatrix<T> weight, Matrix<C> dx) {
  auto const n = static_cast<std::ptrdiff_t>(dy.extent(0)), w = static_cast<std::ptrdiff_t>(dy.extent(1));
  auto const k = static_cast<std::ptrdiff_t>(weight.extent(1));
  kernels::matmul<T>(*context.matmul, context.exec,
                     {kernels::Transpose::no, kernels::Transpose::no, n, k, w, w, k, k}, dy.data(),
                     weight.data(), 0, dx.data());
}

/// dW (w, k) = or += dy^T (w, n) x (n, k): the product for the weight's gradient; adds unless this is the
/// first microbatch of its batch tile.
template <class T>
void multiply_weight_gradient(Context const& context, ConstMatrix<T> dy, ConstMatrix<T> x,
                              Matrix<Wide<T>> dweight) {
  auto const n = static_cast<std::ptrdiff_t>(dy.extent(0)), w = static_cast<std::ptrdiff_t>(dy.extent(1));
  auto const k = static_cast<std::ptrdiff_t>(x.extent(1));
  kernels::matmul<T>(*context.matmul, context.exec,
                     {kernels::Transpose::yes, kernels::Transpose::no, w, k, n, w, k, k}, dy.data(), x.data(),
                     context.target.accumulate ? 1 : 0, dweight.data());
}

}  // namespace tessera::layers
