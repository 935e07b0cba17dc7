// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The only way to Kokkos. Everything that differs between Kokkos 3.4 and 5.x is settled here, so that no
// other file asks for a version.
#pragma once

#include <Kokkos_Core.hpp>

namespace tessera {

/// Where kernels run, and where the tensors they work on live. Every kernel takes an instance of it first.
using ExecutionSpace = Kokkos::DefaultExecutionSpace;
using MemorySpace = ExecutionSpace::memory_space;

/// True when code on the host may read and write tensors directly.
inline constexpr bool tensors_on_host =
    Kokkos::SpaceAccessibility<Kokkos::HostSpace, MemorySpace>::accessible;

/// Runs the calling thread's process until all work given to `exec` so far has ended.
inline void fence(ExecutionSpace const& exec) { exec.fence(); }

/// True between initialisation and finalisation of Kokkos.
inline bool kokkos_is_ready() { return Kokkos::is_initialized(); }

}  // namespace tessera
