// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The CUDA runtime's part of the double (control.hpp).
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "support/cuda_double/machine.hpp"
#include "support/cuda_double/stream.hpp"

namespace {

using namespace tessera::support::cuda_double;

cudaError_t allocate(void** memory, std::size_t bytes, char const* function) {
  if (must_fail(function)) return cudaErrorMemoryAllocation;
  *memory = std::malloc(bytes > 0 ? bytes : 1);
  Machine::instance().own_memory(*memory, bytes);
  return cudaSuccess;
}

}  // namespace

cudaError_t cudaGetDeviceCount(int* count) {
  if (must_fail(__func__)) return cudaErrorInitializationError;
  *count = Machine::instance().device_count;
  return *count > 0 ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaSetDevice(int device) {
  if (must_fail(__func__)) return cudaErrorDevicesUnavailable;
  if (device < 0 || device >= Machine::instance().device_count) return cudaErrorInvalidDevice;
  current_device() = device;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int device) {
  if (must_fail(__func__)) return cudaErrorInvalidValue;
  int const bus = Machine::instance().one_address ? 0 : device;
  std::snprintf(text, static_cast<std::size_t>(length), "0000:%02X:00.0", 0x17 + bus);
  return cudaSuccess;
}

char const* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorLaunchFailure: return "unspecified launch failure";
    default: return "an error of the double";
  }
}

cudaError_t cudaGetLastError() { return cudaSuccess; }

cudaError_t cudaMalloc(void** memory, std::size_t bytes) { return allocate(memory, bytes, __func__); }

cudaError_t cudaFree(void* memory) {
  Machine::instance().disown_memory(memory);
  std::free(memory);
  return must_fail(__func__) ? cudaErrorInvalidValue : cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, void const* memory) {
  if (must_fail(__func__)) return cudaErrorInvalidValue;
  auto& machine = Machine::instance();
  bool const on_device = machine.all_memory_on_device || machine.owns(memory);
  attributes->type = on_device ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
  attributes->device = current_device();
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  if (must_fail(__func__)) return cudaErrorMemoryAllocation;
  *stream = new CUstream_st;
  ++Machine::instance().alive;
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  --Machine::instance().alive;
  return must_fail(__func__) ? cudaErrorInvalidValue : cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (must_fail(__func__)) return cudaErrorLaunchFailure;
  stream->queue.drain();
  return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (must_fail(__func__)) return cudaErrorLaunchFailure;
  return stream->queue.idle() ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (must_fail(__func__)) return cudaErrorInvalidValue;
  if (event->reached) stream->queue.push([reached = event->reached] { reached->wait(false); });
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, void const* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  if (must_fail(__func__)) return cudaErrorInvalidValue;
  stream->queue.push([=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  if (must_fail(__func__)) return cudaErrorInvalidValue;
  stream->queue.push([=] { function(data); });
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  if (must_fail(__func__)) return cudaErrorMemoryAllocation;
  *event = new CUevent_st;
  ++Machine::instance().alive;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  --Machine::instance().alive;
  return must_fail(__func__) ? cudaErrorInvalidValue : cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (must_fail(__func__)) return cudaErrorInvalidValue;
  event->reached = std::make_shared<std::atomic<bool>>(false);
  stream->queue.push([reached = event->reached] {
    reached->store(true);
    reached->notify_all();
  });
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (must_fail(__func__)) return cudaErrorLaunchFailure;
  return event->reached && !event->reached->load() ? cudaErrorNotReady : cudaSuccess;
}
