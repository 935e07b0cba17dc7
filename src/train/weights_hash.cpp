// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/weights_hash.hpp"

#include "tessera/kernels/hash.hpp"

namespace tessera::train {

template <class T>
std::uint64_t local_weights_hash(ExecutionSpace const& exec, params::ParameterStore<T> const& store,
                                 bool counts_replicated) {
  std::uint64_t sum = 0;
  auto const count = static_cast<params::ParameterId>(store.parameters().size());
  for (params::ParameterId id = 0; id < count; ++id) {
    auto const& parameter = store[id];
    if (parameter.role != params::Role::owner || (parameter.spec.replicated() && !counts_replicated))
      continue;
    for (int tile = 0; tile < parameter.tiles.count; ++tile) {
      auto const elements = params::elements_of_tile(parameter.spec, parameter.tiles.first + tile);
      sum += kernels::weights_hash<Wide<T>>(
          exec, store.value(id, tile), params::name_hash(parameter.spec.name),
          {elements.first, elements.outer, elements.stride, elements.run, elements.valid_run});
    }
  }
  return sum;
}

#define TESSERA_INSTANTIATE(T) \
  template std::uint64_t local_weights_hash(ExecutionSpace const&, params::ParameterStore<T> const&, bool);
TESSERA_FOR_COMPUTE_TYPES(TESSERA_INSTANTIATE)

}  // namespace tessera::train
