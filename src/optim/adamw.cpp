// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/optim/adamw.hpp"

#include <type_traits>

#include "tessera/kernels/adamw.hpp"
#include "tessera/kernels/tree.hpp"

namespace tessera::optim {

namespace {

/// Elements of the store that an update treats alike, as few runs as there are: calls `visit(range, decays)`.
/// Tensors lie one after another, replicated ones first (params::ParameterStore), and nothing is allocated.
template <class T, class Visit>
void for_each_run(params::ParameterStore<T> const& store, Visit const& visit) {
  params::Range run;
  bool decays = false;
  for (bool const replicated : {true, false}) {
    for (auto const& parameter : store.parameters()) {
      if (parameter.role == params::Role::tied_gradient || parameter.spec.replicated() != replicated)
        continue;
      bool const joins = parameter.range.begin == run.end && parameter.spec.weight_decay == decays;
      if (!joins && run.size() > 0) visit(run, decays);
      run = {joins ? run.begin : parameter.range.begin, parameter.range.end};
      decays = parameter.spec.weight_decay;
    }
  }
  if (run.size() > 0) visit(run, decays);
}

}  // namespace

template <class T>
void Adamw<T>::update(ExecutionSpace const& exec, params::ReducedGradients<T>&& gradients,
                      double learning_rate, double gradient_scale, std::int64_t step) const {
  auto const& store = gradients.store();
  for_each_run(store, [&](params::Range range, bool decays) {
    auto const part = [&](Vector<Wide<T>> const& flat) {
      return Vector<Wide<T>>(flat.data() + range.begin, static_cast<std::size_t>(range.size()));
    };
    kernels::AdamwStep const constants{learning_rate,
                                       options_.beta1,
                                       options_.beta2,
                                       options_.epsilon,
                                       decays ? options_.weight_decay : 0.0,
                                       gradient_scale,
                                       step};
    kernels::adamw<Wide<T>>(exec, part(store.values()), part(store.gradients(0)), part(store.first_moments()),
                            part(store.second_moments()), constants);
  });
  if constexpr (!std::is_same_v<T, Wide<T>>) kernels::round<T>(exec, store.values(), store.weights());
}

TESSERA_COMPUTE_TYPES(template class, Adamw)

}  // namespace tessera::optim
