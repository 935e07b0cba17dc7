// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Where the elements of a tile lie in the whole tensor.
#pragma once

#include <cstdint>

#include "tessera/base/kokkos.hpp"

namespace tessera::kernels {

/// A tile as runs of elements that are neighbours in the whole tensor: element r of run o is element o * run
/// + r of the tile and element first + o * stride + r of the tensor. Elements with r >= valid_run are
/// padding: they exist only in memory (rule 11 of docs/numerics.md).
struct ElementRuns {
  std::int64_t first = 0;      ///< global index of the tile's first element
  std::int64_t outer = 1;      ///< number of runs
  std::int64_t stride = 0;     ///< global elements from one run to the next
  std::int64_t run = 0;        ///< elements of a run, padding included
  std::int64_t valid_run = 0;  ///< elements of a run that are not padding

  /// Global index of element i of the tile.
  [[nodiscard]] KOKKOS_INLINE_FUNCTION std::uint64_t global(std::int64_t i) const {
    return static_cast<std::uint64_t>(first + i / run * stride + i % run);
  }
  [[nodiscard]] KOKKOS_INLINE_FUNCTION bool valid(std::int64_t i) const { return i % run < valid_run; }
};

}  // namespace tessera::kernels
