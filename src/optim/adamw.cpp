// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/optim/adamw.hpp"

#include <type_traits>

#include "tessera/kernels/adamw.hpp"
#include "tessera/kernels/tree.hpp"

namespace tessera::optim {

template <class T>
void Adamw<T>::update(ExecutionSpace const& exec, params::ReducedGradients<T>&& gradients,
                      double learning_rate, double gradient_scale, std::int64_t step) const {
  auto const& store = gradients.store();
  for (auto const& parameter : store.parameters()) {
    if (parameter.role == params::Role::tied_gradient) continue;
    auto const part = [&](Vector<Wide<T>> const& flat) {
      return Vector<Wide<T>>(flat.data() + parameter.range.begin,
                             static_cast<std::size_t>(parameter.range.size()));
    };
    kernels::AdamwStep const constants{learning_rate,
                                       options_.beta1,
                                       options_.beta2,
                                       options_.epsilon,
                                       parameter.spec.weight_decay ? options_.weight_decay : 0.0,
                                       gradient_scale,
                                       step};
    kernels::adamw<Wide<T>>(exec, part(store.values()), part(store.gradients(0)), part(store.first_moments()),
                            part(store.second_moments()), constants);
  }
  if constexpr (!std::is_same_v<T, Wide<T>>) kernels::round<T>(exec, store.values(), store.weights());
}

template class Adamw<float>;
template class Adamw<double>;
template class Adamw<bf16>;

}  // namespace tessera::optim
