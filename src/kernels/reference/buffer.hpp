// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <type_traits>
#include <vector>

#include "tessera/base/kokkos.hpp"

namespace tessera::kernels::reference {

/// Takes memory that kernels and tests both read and write, where there is a device.
template <class T>
struct SharedAllocator {
  using value_type = T;

  SharedAllocator() = default;
  template <class Other>
  SharedAllocator(SharedAllocator<Other> const&) {}
  T* allocate(std::size_t count) {
    return static_cast<T*>(Kokkos::kokkos_malloc<SharedSpace>("tessera::test::buffer", count * sizeof(T)));
  }
  void deallocate(T* memory, std::size_t) { Kokkos::kokkos_free<SharedSpace>(memory); }
  friend bool operator==(SharedAllocator const&, SharedAllocator const&) { return true; }
};

/// A std::vector whose elements kernels reach; on a host any vector's are.
template <class T>
using Buffer = std::vector<T, std::conditional_t<tensors_on_host, std::allocator<T>, SharedAllocator<T>>>;

}  // namespace tessera::kernels::reference
