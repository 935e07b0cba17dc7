// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What a kernel of tiles says about the thread that runs it. Such a kernel is a body
//
//   template <class Thread> void operator()(Thread const& thread, int block) const
//
// with constants `threads` and `shared_bytes`, a count `blocks()`, and the type `Element` of what it reads
// and writes (bf16, f16, float); every thread of every block calls it. There are two kinds of Thread, each
// for an Element: CudaThread (cuda_thread.hpp) is one of a GPU's and costs nothing; the tests have one that
// plays whole blocks on the host, so that the same bodies are checked where there is no GPU.
//
// A Thread gives
//   index(), lane(), warp()     its place among the block's threads, in its warp of 32, and that warp's
//   shared()                    the address of the block's shared memory; addresses count bytes
//   barrier()                   all threads of the block are here, and see what each has stored
//   warp_barrier()              the same for a warp
//   shuffle_xor(v, mask)        v of the lane whose number is this lane's xor mask
//   load_squares(a, r)          four 8 x 8 squares of 16-bit elements; lane 8 q + i gives the address of row
//   i
//                               of square q; r[q] = elements 2 (lane % 4) and the next of row lane / 4
//   load_squares_transposed     the same of the transposed squares
//   multiply_add(c, a, b0, b1)  c (16, 8) += a (16, 16) b (16, 8), elements of Element, sums in float:
//                               with g = lane / 4, t = lane % 4 a lane holds
//                                 a[0..3]: rows g, g + 8, g, g + 8; columns 2t and the next, of [2], [3] + 8
//                                 b0, b1:  column g; rows 2t and the next, of b1 + 8
//                                 c[0..3]: rows g, g, g + 8, g + 8; columns 2t, 2t + 1, 2t, 2t + 1
//   copy(to, from, there)       16 bytes from global to shared memory, in the background; zeros if not there
//   wait()                      until all of this thread's copies are done
//   load(address), store(...)   of shared memory
//   pack(low, high)             two floats rounded to the nearest Elements, in one word; low, high widen them
//   exp2(x), larger(x, y)       2^x; the larger, or the one that is a number
#pragma once

#include <cstdint>

#include "tessera/base/kokkos.hpp"

#ifdef KOKKOS_ENABLE_CUDA
#define TESSERA_TILE_FUNCTION __device__ __forceinline__
#define TESSERA_UNROLL _Pragma("unroll")
#define TESSERA_UNROLL_BY_4 _Pragma("unroll 4")
#define TESSERA_KEEP_LOOP _Pragma("unroll 1")
#else
#define TESSERA_TILE_FUNCTION inline
#define TESSERA_UNROLL
#define TESSERA_UNROLL_BY_4
#define TESSERA_KEEP_LOOP
#endif

namespace tessera::kernels::flash {

/// Lanes of a warp.
inline constexpr int warp_size = 32;

/// 16 bytes: what a thread moves at a time.
struct alignas(16) Chunk {
  std::uint32_t word[4];
};

/// Two neighbouring numbers.
struct alignas(8) Pair {
  float value[2];
};

}  // namespace tessera::kernels::flash
