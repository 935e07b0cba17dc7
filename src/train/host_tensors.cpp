// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/host_tensors.hpp"

#include "tessera/base/error.hpp"

namespace tessera::train {

namespace {

template <class T>
Vector<Wide<T>> numbers_of(params::ParameterStore<T> const& store, std::size_t kind) {
  return kind == 0 ? store.values() : kind == 1 ? store.first_moments() : store.second_moments();
}

}  // namespace

template <class T>
void HostTensors<T>::fetch(ExecutionSpace const& exec, params::ParameterStore<T> const& store) {
  fence(exec);
  if constexpr (!tensors_on_host) {
    for (std::size_t kind = 0; kind < kinds; ++kind) {
      auto const numbers = numbers_of(store, kind);
      if (copies_[kind].extent(0) != numbers.extent(0)) {
        copies_[kind] = Kokkos::View<Wide<T>*, StagingSpace>(
            Kokkos::view_alloc(Kokkos::WithoutInitializing, "tessera::train::host_tensors"),
            numbers.extent(0));
      }
      Kokkos::deep_copy(exec, copies_[kind], numbers);
    }
    fence(exec);
  }
}

template <class T>
void HostTensors<T>::put_back(ExecutionSpace const& exec, params::ParameterStore<T> const& store) const {
  if constexpr (!tensors_on_host) {
    for (std::size_t kind = 0; kind < kinds; ++kind)
      Kokkos::deep_copy(exec, numbers_of(store, kind), copies_[kind]);
    fence(exec);
  }
}

template <class T>
Wide<T>* HostTensors<T>::numbers(params::ParameterStore<T> const& store, std::size_t kind) const {
  if constexpr (tensors_on_host) return numbers_of(store, kind).data();
  require(copies_[kind].data() != nullptr, "tensors are fetched before they are looked at");
  return copies_[kind].data();
}

TESSERA_COMPUTE_TYPES(template class, HostTensors)

}  // namespace tessera::train
