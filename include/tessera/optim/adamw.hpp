// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "tessera/params/gradients.hpp"

namespace tessera::optim {

struct AdamwOptions {
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;  ///< of tensors whose spec says so: weights and embeddings, not norms and biases
};

/// AdamW: Adam with bias correction and decoupled weight decay (Loshchilov & Hutter, "Decoupled Weight Decay
/// Regularization", 2019, algorithm 2).
template <class T>
class Adamw {
 public:
  explicit Adamw(AdamwOptions const& options) : options_(options) {}

  /// One update of every parameter of the store, number `step` (the first is 1), gradients scaled by
  /// `gradient_scale` first, in Wide<T>; then of the weights in the compute type. Uses the gradients up.
  void update(ExecutionSpace const& exec, params::ReducedGradients<T>&& gradients, double learning_rate,
              double gradient_scale, std::int64_t step) const;

 private:
  AdamwOptions options_;
};

TESSERA_COMPUTE_TYPES(extern template class, Adamw)

}  // namespace tessera::optim
