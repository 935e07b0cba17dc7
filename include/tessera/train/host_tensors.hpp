// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>

#include "tessera/params/parameter_store.hpp"

namespace tessera::train {

/// The weights and moments of a store where host code reads and writes them: the tensors themselves on a
/// host, a copy where they lie on a device, whose memory is taken by the first `fetch`.
template <class T>
class HostTensors {
 public:
  /// Weights, first moments, second moments.
  static constexpr std::size_t kinds = 3;

  /// Blocks until the numbers are there.
  void fetch(ExecutionSpace const& exec, params::ParameterStore<T> const& store);
  /// Blocks until the store has what was written since `fetch`.
  void put_back(ExecutionSpace const& exec, params::ParameterStore<T> const& store) const;
  /// Element 0 of the flat store's numbers of one kind, as of the last `fetch`.
  [[nodiscard]] Wide<T>* numbers(params::ParameterStore<T> const& store, std::size_t kind) const;

 private:
  std::array<Kokkos::View<Wide<T>*, StagingSpace>, kinds> copies_;  // none on a host
};

TESSERA_COMPUTE_TYPES(extern template class, HostTensors)

}  // namespace tessera::train
