// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>

#include "tessera/base/arena.hpp"
#include "tessera/base/views.hpp"

namespace tessera::support {

/// Lets tests read what a kernel has written as soon as the call that launched it returns, where there is a
/// device: launches block and arenas take memory of both sides. Called before anything of CUDA starts.
inline void let_the_host_read_tensors() {
  if constexpr (!tensors_on_host) {
    ::setenv("CUDA_LAUNCH_BLOCKING", "1", 0);
    Arena::share_with_host_for_tests();
  }
}

/// A tensor as host code reads and writes it.
template <class T>
auto on_host(Vector<T> const& x) {
  using Host =
      Kokkos::View<T*, Kokkos::LayoutRight, Kokkos::HostSpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  return Host(x.data(), x.extent(0));
}
template <class T>
auto on_host(Matrix<T> const& x) {
  using Host =
      Kokkos::View<T**, Kokkos::LayoutRight, Kokkos::HostSpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  return Host(x.data(), x.extent(0), x.extent(1));
}
template <class T>
auto on_host(Cube<T> const& x) {
  using Host =
      Kokkos::View<T***, Kokkos::LayoutRight, Kokkos::HostSpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  return Host(x.data(), x.extent(0), x.extent(1), x.extent(2));
}

}  // namespace tessera::support
