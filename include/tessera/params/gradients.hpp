// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The phases of a gradient as types: LocalGradients -> ReducedGradients -> optimiser. Only data_parallel can
// make ReducedGradients, and the optimiser takes nothing else, so a forgotten reduction does not compile.
#pragma once

#include "tessera/params/parameter_store.hpp"

namespace tessera::data_parallel {
template <class T>
class GradientReducer;
}

namespace tessera::params {

/// Gradients of this replica's microbatches, handed out by the backward pass when its last action has run.
template <class T>
class LocalGradients {
 public:
  explicit LocalGradients(ParameterStore<T>& store) : store_(&store) {}
  LocalGradients(LocalGradients const&) = delete;
  LocalGradients& operator=(LocalGradients const&) = delete;
  LocalGradients(LocalGradients&&) noexcept = default;
  LocalGradients& operator=(LocalGradients&&) noexcept = default;

  [[nodiscard]] ParameterStore<T>& store() const { return *store_; }

 private:
  ParameterStore<T>* store_;
};

/// Gradients of the global batch, the same on all replicas, both roles of tied tensors added.
template <class T>
class ReducedGradients {
 public:
  ReducedGradients(ReducedGradients const&) = delete;
  ReducedGradients& operator=(ReducedGradients const&) = delete;
  ReducedGradients(ReducedGradients&&) noexcept = default;
  ReducedGradients& operator=(ReducedGradients&&) noexcept = default;

  [[nodiscard]] ParameterStore<T>& store() const { return *store_; }
  /// The finished gradient of the i-th owned tile of a tensor: (tile_size).
  [[nodiscard]] Vector<Wide<T>> tile(ParameterId id, int i) const { return store_->gradient(id, i, 0); }

 private:
  friend class data_parallel::GradientReducer<T>;
  explicit ReducedGradients(ParameterStore<T>& store) : store_(&store) {}

  ParameterStore<T>* store_;
};

}  // namespace tessera::params
