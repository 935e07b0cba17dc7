// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A GPU's thread as thread.hpp wants it, in PTX of sm_80 and later, and the launch of a body. A block may
// take more shared memory than Kokkos gives a team (48 KiB), so bodies are launched on the stream of the
// execution space directly; tools see them under their labels all the same.
#pragma once

#include <string>
#include <type_traits>

#include "kernels/flash/thread.hpp"
#include "tessera/base/compute_types.hpp"
#include "tessera/base/error.hpp"

namespace tessera::kernels::flash {

template <class Element>
class CudaThread {
 public:
  __device__ __forceinline__ explicit CudaThread(void* shared)
      : shared_(static_cast<std::uint32_t>(__cvta_generic_to_shared(shared))) {}

  __device__ __forceinline__ int index() const { return static_cast<int>(threadIdx.x); }
  __device__ __forceinline__ int lane() const { return index() % warp_size; }
  __device__ __forceinline__ int warp() const { return index() / warp_size; }
  __device__ __forceinline__ std::uint32_t shared() const { return shared_; }
  __device__ __forceinline__ void barrier() const { __syncthreads(); }
  __device__ __forceinline__ void warp_barrier() const { __syncwarp(); }
  template <class T>
  __device__ __forceinline__ T shuffle_xor(T value, int mask) const {
    return __shfl_xor_sync(0xFFFFFFFFU, value, mask);
  }

  __device__ __forceinline__ void load_squares(std::uint32_t address, std::uint32_t (&r)[4]) const {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
  }
  __device__ __forceinline__ void load_squares_transposed(std::uint32_t address,
                                                          std::uint32_t (&r)[4]) const {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
  }
  __device__ __forceinline__ void multiply_add(float (&c)[4], std::uint32_t const (&a)[4], std::uint32_t b0,
                                               std::uint32_t b1) const {
    if constexpr (std::is_same_v<Element, f16>) {
      asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
          "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
          : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    } else {
      static_assert(std::is_same_v<Element, bf16>);
      asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
          "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
          : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
  }

  __device__ __forceinline__ void copy(std::uint32_t to, void const* from, bool there) const {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :
                 : "r"(to), "l"(__cvta_generic_to_global(from)), "r"(there ? 16 : 0)
                 : "memory");
  }
  __device__ __forceinline__ void wait() const { asm volatile("cp.async.wait_all;" ::: "memory"); }

  template <class T>
  __device__ __forceinline__ T load(std::uint32_t address) const {
    return *static_cast<T const*>(__cvta_shared_to_generic(address));
  }
  template <class T>
  __device__ __forceinline__ void store(std::uint32_t address, T const& value) const {
    *static_cast<T*>(__cvta_shared_to_generic(address)) = value;
  }

  __device__ __forceinline__ std::uint32_t pack(float low, float high) const {
    std::uint32_t word;
    if constexpr (std::is_same_v<Element, f16>) {
      asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    } else {
      static_assert(std::is_same_v<Element, bf16>);
      asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    }
    return word;
  }
  __device__ __forceinline__ float low(std::uint32_t word) const { return widened(word & 0xFFFFU); }
  __device__ __forceinline__ float high(std::uint32_t word) const { return widened(word >> 16); }
  __device__ __forceinline__ float exp2(float x) const {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
  }
  __device__ __forceinline__ float larger(float x, float y) const { return fmaxf(x, y); }

 private:
  __device__ __forceinline__ static float widened(std::uint32_t bits) {
    Element element;
    element.bits = static_cast<std::uint16_t>(bits);
    return element;
  }

  std::uint32_t shared_;
};

/// `blocks` of them are to find room on a multiprocessor at a time: the compiler shares out registers so.
template <int blocks, class Body>
__global__ void __launch_bounds__(Body::threads, blocks) run_block(Body body) {
  extern __shared__ __align__(16) unsigned char shared_memory[];
  body(CudaThread<typename Body::Element>(shared_memory), static_cast<int>(blockIdx.x));
}

inline void expect_success(cudaError_t result, std::string const& label) {
  if (result != cudaSuccess) throw InternalError(label + ": " + cudaGetErrorString(result));
}

template <int blocks, class Body>
void launch(Kokkos::Cuda const& exec, std::string const& label, Body const& body) {
  if (body.blocks() == 0) return;
  if constexpr (Body::shared_bytes > 48 * 1024) {
    expect_success(cudaFuncSetAttribute(run_block<blocks, Body>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                        Body::shared_bytes),
                   label);
  }
  std::uint64_t kernel = 0;
  Kokkos::Tools::beginParallelFor(label, Kokkos::Tools::Experimental::device_id(exec), &kernel);
  run_block<blocks, Body><<<body.blocks(), Body::threads, Body::shared_bytes, exec.cuda_stream()>>>(body);
  expect_success(cudaGetLastError(), label);
  Kokkos::Tools::endParallelFor(kernel);
}

}  // namespace tessera::kernels::flash
