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

/// StagingSpace: host memory that a device's copy engine reads and writes without a detour. SharedSpace:
/// memory that host and device both work on, moved by the system page by page. On a host both are its own.
#if defined(KOKKOS_ENABLE_CUDA)
using StagingSpace = Kokkos::CudaHostPinnedSpace;
using SharedSpace = Kokkos::CudaUVMSpace;
#elif defined(KOKKOS_ENABLE_HIP)
using StagingSpace = Kokkos::HIPHostPinnedSpace;
using SharedSpace = Kokkos::HIPManagedSpace;
#else
using StagingSpace = Kokkos::HostSpace;
using SharedSpace = Kokkos::HostSpace;
#endif

/// Runs the calling thread's process until all work given to `exec` so far has ended.
inline void fence(ExecutionSpace const& exec) { exec.fence(); }

/// Whether code on the host may read what `memory` points to.
inline bool host_can_read(void const* memory) {
#if defined(KOKKOS_ENABLE_CUDA)
  cudaPointerAttributes attributes{};
  if (cudaPointerGetAttributes(&attributes, memory) == cudaSuccess)
    return attributes.type != cudaMemoryTypeDevice;
  cudaGetLastError();  // of memory that CUDA does not know
#elif defined(KOKKOS_ENABLE_HIP)
  hipPointerAttribute_t attributes{};
  if (hipPointerGetAttributes(&attributes, memory) == hipSuccess)
    return attributes.type != hipMemoryTypeDevice;
  (void)hipGetLastError();
#endif
  (void)memory;
  return true;
}

/// An instance for copies that are not to wait for kernels: a queue of its own where there are queues.
inline ExecutionSpace copying_instance() {
#if defined(KOKKOS_ENABLE_CUDA) || defined(KOKKOS_ENABLE_HIP)
  return Kokkos::Experimental::partition_space(ExecutionSpace(), 1)[0];
#else
  return {};
#endif
}

/// True between initialisation and finalisation of Kokkos.
inline bool kokkos_is_ready() { return Kokkos::is_initialized(); }

/// In kernels that run on neighbouring threads, 32 to a warp: the value that thread `lane` of the caller's
/// warp holds. All threads of the warp call it. On a host a thread is alone.
template <class A>
KOKKOS_INLINE_FUNCTION A exchanged_in_warp(A const& value, int lane) {
#if defined(__CUDA_ARCH__) || defined(__HIP_DEVICE_COMPILE__)
  return Kokkos::shfl(value, lane, 32);
#else
  (void)lane;
  return value;
#endif
}

/// Bit l is set where thread l of the caller's warp calls with `condition` true.
KOKKOS_INLINE_FUNCTION unsigned lanes_where(bool condition) {
#if defined(__CUDA_ARCH__)
  return __ballot_sync(0xffffffffu, condition);
#elif defined(__HIP_DEVICE_COMPILE__)
  return static_cast<unsigned>(__ballot(condition) >> (__lane_id() & 32u));
#else
  return condition ? 1 : 0;
#endif
}

/// Makes what the threads of a warp have written visible to all of them.
KOKKOS_INLINE_FUNCTION void synchronise_warp() {
#if defined(__CUDA_ARCH__)
  __syncwarp();
#elif defined(__HIP_DEVICE_COMPILE__)
  __builtin_amdgcn_wave_barrier();
#endif
}

}  // namespace tessera
