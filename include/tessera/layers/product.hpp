// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/kernels/bias.hpp"
#include "tessera/kernels/gelu.hpp"
#include "tessera/kernels/matmul.hpp"
#include "tessera/layers/context.hpp"

namespace tessera::layers {

// The result of a product is T, or Wide<T> where it is a summand of something larger: C says which. What
// follows a product is done by the product where its provider offers that (kernels::Ending), which depends on
// the shapes of a tile alone, so on no layout.

/// (n, k) times the transpose of (w, k), and (n, w) times (w, k).
template <class T>
kernels::MatmulShape forward_shape(ConstMatrix<T> x, ConstMatrix<T> weight) {
  auto const n = static_cast<std::ptrdiff_t>(x.extent(0)), k = static_cast<std::ptrdiff_t>(x.extent(1));
  auto const w = static_cast<std::ptrdiff_t>(weight.extent(0));
  return {kernels::Transpose::no, kernels::Transpose::yes, n, w, k, k, k, w};
}
template <class T>
kernels::MatmulShape input_gradient_shape(ConstMatrix<T> dy, ConstMatrix<T> weight) {
  auto const n = static_cast<std::ptrdiff_t>(dy.extent(0)), w = static_cast<std::ptrdiff_t>(dy.extent(1));
  auto const k = static_cast<std::ptrdiff_t>(weight.extent(1));
  return {kernels::Transpose::no, kernels::Transpose::no, n, k, w, w, k, k};
}

/// y (n, w) = x (n, k) W^T with W (w, k): the forward product of a linear layer.
template <class T, class C>
void multiply_forward(Context const& context, ConstMatrix<T> x, ConstMatrix<T> weight, Matrix<C> y) {
  kernels::matmul<T>(*context.matmul, context.exec, forward_shape<T>(x, weight), x.data(), weight.data(), 0,
                     y.data());
}

/// The bias of a tile (w): what is added, and the same rounded to T, which products add.
template <class T>
struct TileBias {
  Vector<Wide<T>> value;
  Vector<T> rounded;
};

/// y = x W^T + b.
template <class T>
void multiply_and_add_bias(Context const& context, ConstMatrix<T> x, ConstMatrix<T> weight,
                           TileBias<T> const& bias, Matrix<T> y) {
  if (kernels::matmul_ending<T>(*context.matmul, context.exec, forward_shape<T>(x, weight), x.data(),
                                weight.data(), kernels::Ending::bias, bias.rounded.data(), nullptr, y.data()))
    return;
  multiply_forward<T>(context, x, weight, y);
  kernels::add_bias<T>(context.exec, y, bias.value);
}

/// before = x W^T + b, y = gelu(before).
template <class T>
void multiply_and_gelu(Context const& context, ConstMatrix<T> x, ConstMatrix<T> weight,
                       TileBias<T> const& bias, Matrix<T> before, Matrix<T> y) {
  if (kernels::matmul_ending<T>(*context.matmul, context.exec, forward_shape<T>(x, weight), x.data(),
                                weight.data(), kernels::Ending::bias_gelu, bias.rounded.data(), before.data(),
                                y.data()))
    return;
  multiply_forward<T>(context, x, weight, before);
  kernels::bias_gelu_forward<T>(context.exec, before, bias.value, y);
}

/// dx (n, k) = dy (n, w) W: the product for the input's gradient.
template <class T, class C>
void multiply_input_gradient(Context const& context, ConstMatrix<T> dy, ConstMatrix<T> weight, Matrix<C> dx) {
  kernels::matmul<T>(*context.matmul, context.exec, input_gradient_shape<T>(dy, weight), dy.data(),
                     weight.data(), 0, dx.data());
}

/// dx (n, k) = (dy (n, w) W) gelu'(before): the gradient of what GELU was applied to.
template <class T>
void multiply_through_gelu(Context const& context, ConstMatrix<T> dy, ConstMatrix<T> weight, Matrix<T> before,
                           Matrix<T> dx) {
  if (kernels::matmul_ending<T>(*context.matmul, context.exec, input_gradient_shape<T>(dy, weight), dy.data(),
                                weight.data(), kernels::Ending::gelu_slope, nullptr, before.data(),
                                dx.data()))
    return;
  multiply_input_gradient<T>(context, dy, weight, dx);
  kernels::gelu_backward<T>(context.exec, dx, before, dx);
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
