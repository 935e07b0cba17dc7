// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/optim/adamw.hpp"

#include "tessera/kernels/adamw.hpp"

namespace tessera::optim {

template <class T>
void Adamw<T>::update(ExecutionSpace const& exec, params::ReducedGradients<T>&& gradients,
                      double learning_rate, double gradient_scale, std::int64_t step) const {
  auto const& store = gradients.store();
  for (auto const& parameter : store.parameters()) {
    if (parameter.role == params::Role::tied_gradient) continue;
    auto const part = [&](Vector<T> const& flat) {
      return Vector<T>(flat.data() + parameter.range.begin, static_cast<std::size_t>(parameter.range.size()));
    };
    kernels::AdamwStep const constants{learning_rate,
                                       options_.beta1,
                                       options_.beta2,
                                       options_.epsilon,
                                       parameter.spec.weight_decay ? options_.weight_decay : 0.0,
                                       gradient_scale,
                                       step};
    kernels::adamw<T>(exec, part(store.values()), part(store.gradients(0)), part(store.first_moments()),
                      part(store.second_moments()), constants);
  }
}

template class Adamw<float>;
template class Adamw<double>;

}  // namespace tessera::optim
