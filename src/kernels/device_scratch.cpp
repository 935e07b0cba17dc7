// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "kernels/device_scratch.hpp"

namespace tessera::kernels {

namespace {

using Memory = Kokkos::View<std::byte*, MemorySpace>;

/// Given back when Kokkos ends, since nothing of it may outlive that.
Memory& memory() {
  static Memory instance = [] {
    Kokkos::push_finalize_hook([] { memory() = {}; });
    return Memory();
  }();
  return instance;
}

}  // namespace

void* device_scratch_bytes(ExecutionSpace const& exec, std::size_t bytes) {
  if (bytes > memory().size()) {
    fence(exec);
    memory() = Memory();
    memory() = Memory(Kokkos::view_alloc(Kokkos::WithoutInitializing, "tessera::kernels::scratch"), bytes);
  }
  return memory().data();  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): views count who holds them
}

}  // namespace tessera::kernels
