// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/layers/norm.hpp"

#include "tessera/kernels/layer_norm.hpp"
#include "tessera/layers/specs.hpp"

namespace tessera::layers {

template <class T>
NormSaved<T>::NormSaved(Arena& arena, TokenShape const& tokens) {
  auto const rows = static_cast<std::size_t>(tokens.local_rows());
  mean = arena.vector<Wide<T>>(rows);
  rstd = arena.vector<Wide<T>>(rows);
}

template <class T>
void Norm<T>::describe(std::vector<params::TensorSpec>& specs, std::string const& name, std::int64_t d) {
  append(specs, replicated_tensor(name + ".gamma", {d}, params::Completion::token_tiles, {1.0, 0.0}, false));
  append(specs, replicated_tensor(name + ".beta", {d}, params::Completion::token_tiles, {0.0, 0.0}, false));
}

template <class T>
Norm<T>::Norm(params::ParameterStore<T>& store, std::vector<params::TensorSpec> const& specs, int first,
              double epsilon)
    : store_(&store),
      gamma_(store.add(specs[static_cast<std::size_t>(first)], TileRange::all(1))),
      beta_(store.add(specs[static_cast<std::size_t>(first) + 1], TileRange::all(1))),
      epsilon_(static_cast<Wide<T>>(epsilon)) {}

template <class T>
void Norm<T>::forward(Context const& context, Residual<T> x, Residual<T> y, NormSaved<T> const& saved) const {
  kernels::layer_norm_forward<T>(context.exec, x.value, gamma(), beta(), epsilon_, y.value, saved.mean,
                                 saved.rstd);
}

template <class T>
void Norm<T>::backward(Context const& context, Residual<Wide<T>> dy, Residual<T> x, NormSaved<T> const& saved,
                       Residual<T> dx, bool accumulate) const {
  kernels::layer_norm_backward_parameters<T>(context.exec, dy.value, x.value, saved.mean, saved.rstd,
                                             store_->partial_gradient(gamma_),
                                             store_->partial_gradient(beta_), context.target.accumulate);
  kernels::layer_norm_backward<T>(context.exec, dy.value, x.value, gamma(), saved.mean, saved.rstd, dx.value,
                                  accumulate);
}

TESSERA_COMPUTE_TYPES(template struct, NormSaved)
TESSERA_COMPUTE_TYPES(template class, Norm)

}  // namespace tessera::layers
