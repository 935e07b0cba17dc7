// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// AdamW: Adam with decoupled weight decay (Loshchilov and Hutter, "Decoupled Weight Decay Regularization",
// ICLR 2019, algorithm 2; bias correction as in Kingma and Ba 2015).
#pragma once

#include <cstdint>

#include "tessera/base/views.hpp"

namespace tessera::kernels {

struct AdamwStep {
  double learning_rate = 0;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;  ///< lambda; a step shrinks a parameter by learning_rate * lambda of itself
  double gradient_scale =
      1;                  ///< gradients are multiplied by it first: clipping, or the inverse of a loss scale
  std::int64_t step = 1;  ///< the first step is 1
};

/// One step on every element. With g = gradient_scale * gradient: m = beta1 m + (1-beta1) g,
/// v = beta2 v + (1-beta2) g^2, p -= learning_rate (lambda p + m' / (sqrt(v') + epsilon)) where m' and v' are
/// m and v over 1 - beta^step. The constants are computed once, in double. All vectors (N).
template <class T>
void adamw(ExecutionSpace const& exec, Vector<T> parameters, ConstVector<T> gradients, Vector<T> first_moment,
           Vector<T> second_moment, AdamwStep const& step);

}  // namespace tessera::kernels
