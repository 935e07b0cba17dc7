// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "tessera/base/arena.hpp"
#include "tessera/params/gradients.hpp"

namespace tessera::optim {

/// The sums of squares from which the global gradient norm is made, the same on every layout
/// (docs/numerics.md, rule 9): float64 sums over chunks of 4,096 elements, added one after another within a
/// tile.
template <class T>
class SquaredSums {
 public:
  /// Memory for the chunks of a store with `elements` gradients.
  SquaredSums(Arena& arena, std::int64_t elements);

  /// Writes the sum of every tile this rank owns to its place among all (tensor, tile) of the model,
  /// TensorSpec::first_slot + tile; leaves the others. Every tensor counts once: tied copies and second roles
  /// are left out, and replicated tensors unless `counts_replicated`, which one rank of tp says.
  void add_tiles(ExecutionSpace const& exec, params::ReducedGradients<T> const& gradients,
                 bool counts_replicated, std::span<double> sums) const;

  /// Its two halves, for whoever waits for `exec` in between, and for other results as well: gives `exec` the
  /// work, and adds what it has found.
  void start(ExecutionSpace const& exec, params::ReducedGradients<T> const& gradients) const;
  void finish(params::ReducedGradients<T> const& gradients, bool counts_replicated,
              std::span<double> sums) const;

 private:
  Vector<double> chunks_;
  Kokkos::View<double*, StagingSpace> host_chunks_;
};

/// sqrt of the sums added one after another in canonical order.
[[nodiscard]] double global_norm(std::span<double const> sums);

/// The factor that brings a gradient of norm `norm` down to `largest`: min(1, largest / norm); 1 if `largest`
/// is 0.
[[nodiscard]] double clip_scale(double norm, double largest);

TESSERA_COMPUTE_TYPES(extern template class, SquaredSums)

}  // namespace tessera::optim
