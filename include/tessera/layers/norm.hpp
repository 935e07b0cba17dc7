// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/base/arena.hpp"
#include "tessera/layers/placement.hpp"
#include "tessera/params/parameter_store.hpp"

namespace tessera::layers {

/// What a layer norm keeps for its backward pass, beside its input: one number each a row of the residual
/// stream.
template <class T>
struct NormSaved {
  NormSaved() = default;
  NormSaved(Arena& arena, TokenShape const& tokens);

  Vector<Wide<T>> mean, rstd;
};

/// Layer normalisation (Ba et al., 2016) of the residual stream, local to each rank. gamma and beta (D) are
/// replicated; their gradients are summed over token tiles, under SP over tp.
template <class T>
class Norm {
 public:
  /// Appends `<name>.gamma` and `<name>.beta`.
  static void describe(std::vector<params::TensorSpec>& specs, std::string const& name, std::int64_t d);

  Norm(params::ParameterStore<T>& store, std::vector<params::TensorSpec> const& specs, int first,
       double epsilon);

  /// y = norm(x); both this rank's rows (S*B, D), under SP (S/t*B, D).
  void forward(Context const& context, Residual<T> x, Residual<T> y, NormSaved<T> const& saved) const;
  /// dx += the gradient of x; gamma's and beta's gradients are added by token tile.
  void backward(Context const& context, Residual<Wide<T>> dy, Residual<T> x, NormSaved<T> const& saved,
                Residual<T> dx, bool accumulate = true) const;

  [[nodiscard]] Vector<Wide<T>> gamma() const { return store_->value(gamma_); }
  [[nodiscard]] Vector<Wide<T>> beta() const { return store_->value(beta_); }
  [[nodiscard]] Wide<T> epsilon() const { return epsilon_; }

 private:
  params::ParameterStore<T>* store_;
  params::ParameterId gamma_;
  params::ParameterId beta_;
  Wide<T> epsilon_;
};

TESSERA_COMPUTE_TYPES(extern template class, Norm)

}  // namespace tessera::layers
