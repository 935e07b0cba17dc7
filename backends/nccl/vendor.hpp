// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The only place that knows whose GPUs these are. The sources are written in the names of CUDA; RCCL has
// those of NCCL already, and the few calls of the runtime get HIP's names here.
#pragma once

#ifdef TESSERA_RCCL
#include <hip/hip_runtime_api.h>
#if __has_include(<rccl/rccl.h>)
#include <rccl/rccl.h>
#else
#include <rccl.h>
#endif

using cudaError_t = hipError_t;
using cudaEvent_t = hipEvent_t;
using cudaPointerAttributes = hipPointerAttribute_t;
using cudaStream_t = hipStream_t;
inline constexpr auto cudaErrorNotReady = hipErrorNotReady;
inline constexpr auto cudaEventDisableTiming = hipEventDisableTiming;
inline constexpr auto cudaStreamNonBlocking = hipStreamNonBlocking;
inline constexpr auto cudaSuccess = hipSuccess;
#define cudaDeviceGetPCIBusId hipDeviceGetPCIBusId
#define cudaEventCreateWithFlags hipEventCreateWithFlags
#define cudaEventDestroy hipEventDestroy
#define cudaEventQuery hipEventQuery
#define cudaEventRecord hipEventRecord
#define cudaFree hipFree
#define cudaGetDeviceCount hipGetDeviceCount
#define cudaGetErrorString hipGetErrorString
#define cudaGetLastError hipGetLastError
#define cudaMalloc hipMalloc
#define cudaPointerGetAttributes hipPointerGetAttributes
#define cudaSetDevice hipSetDevice
#define cudaStreamCreateWithFlags hipStreamCreateWithFlags
#define cudaStreamDestroy hipStreamDestroy
#define cudaStreamQuery hipStreamQuery
#define cudaStreamWaitEvent hipStreamWaitEvent
#else
#include <cuda_runtime_api.h>
#include <nccl.h>
#endif

#include <string_view>

namespace tessera::backends::nccl {

/// is_unknown: an answer to a question about a pointer that only says: not mine. is_of_device: the answer
/// says that devices reach the memory directly.
#ifdef TESSERA_RCCL
inline constexpr std::string_view library_name = "rccl", shown_name = "RCCL";
inline bool is_unknown(cudaError_t answer) { return answer == hipErrorInvalidValue; }
template <class Attributes>
bool is_of_device(Attributes const& memory) {
  if constexpr (requires { memory.type; }) {
    return memory.type == hipMemoryTypeDevice || memory.isManaged;
  } else {
    return memory.memoryType == hipMemoryTypeDevice || memory.isManaged;  // before ROCm 6
  }
}
#else
inline constexpr std::string_view library_name = "nccl", shown_name = "NCCL";
inline bool is_unknown(cudaError_t) { return false; }
inline bool is_of_device(cudaPointerAttributes const& memory) {
  return memory.type == cudaMemoryTypeDevice || memory.type == cudaMemoryTypeManaged;
}
#endif

}  // namespace tessera::backends::nccl
