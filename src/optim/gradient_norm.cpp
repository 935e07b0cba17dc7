// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/optim/gradient_norm.hpp"

#include <cmath>

#include "tessera/kernels/norm.hpp"

namespace tessera::optim {

template <class T>
SquaredSums<T>::SquaredSums(Arena& arena, std::int64_t elements)
    : chunks_(arena.vector<double>(static_cast<std::size_t>(elements / params::tile_alignment))) {
  if (!arena.counting()) {
    host_chunks_ = Kokkos::View<double*, StagingSpace>("tessera::optim::chunks", chunks_.extent(0));
  }
}

template <class T>
void SquaredSums<T>::add_tiles(ExecutionSpace const& exec, params::ReducedGradients<T> const& gradients,
                               bool counts_replicated, std::span<double> sums) const {
  start(exec, gradients);
  fence(exec);
  finish(gradients, counts_replicated, sums);
}

template <class T>
void SquaredSums<T>::start(ExecutionSpace const& exec, params::ReducedGradients<T> const& gradients) const {
  kernels::squared_norm_chunks<Wide<T>>(exec, gradients.store().gradients(0), chunks_);
  Kokkos::deep_copy(exec, host_chunks_, chunks_);
}

template <class T>
void SquaredSums<T>::finish(params::ReducedGradients<T> const& gradients, bool counts_replicated,
                            std::span<double> sums) const {
  auto const& store = gradients.store();
  for (auto const& parameter : store.parameters()) {
    if (parameter.role != params::Role::owner || (parameter.spec.replicated() && !counts_replicated))
      continue;
    for (int tile = 0; tile < parameter.tiles.count; ++tile) {
      std::int64_t const first =
          (parameter.range.begin + tile * parameter.tile_stride) / params::tile_alignment;
      std::int64_t const count = parameter.tile_stride / params::tile_alignment;
      double sum = 0;
      for (std::int64_t i = 0; i < count; ++i) sum += host_chunks_(first + i);
      int const slot = parameter.spec.first_slot + parameter.tiles.first + tile;
      sums[static_cast<std::size_t>(slot)] = sum;
    }
  }
}

double global_norm(std::span<double const> sums) {
  double total = 0;
  for (double const sum : sums) total += sum;
  return std::sqrt(total);
}

double clip_scale(double norm, double largest) {
  return largest > 0 && norm > largest ? largest / norm : 1.0;
}

TESSERA_COMPUTE_TYPES(template class, SquaredSums)

}  // namespace tessera::optim
