// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "error.hpp"
#include "tessera/base/unique_handle.hpp"
#include "vendor.hpp"

namespace tessera::backends::nccl {

struct StreamTraits {
  using Handle = cudaStream_t;
  static Handle null() noexcept { return nullptr; }
  static void free(Handle stream) noexcept { static_cast<void>(cudaStreamDestroy(stream)); }
};
using UniqueStream = UniqueHandle<StreamTraits>;

struct EventTraits {
  using Handle = cudaEvent_t;
  static Handle null() noexcept { return nullptr; }
  static void free(Handle event) noexcept { static_cast<void>(cudaEventDestroy(event)); }
};
using UniqueEvent = UniqueHandle<EventTraits>;

struct MemoryTraits {
  using Handle = void*;
  static Handle null() noexcept { return nullptr; }
  static void free(Handle memory) noexcept { static_cast<void>(cudaFree(memory)); }
};
using UniqueMemory = UniqueHandle<MemoryTraits>;

/// A stream that does not wait for the default one.
inline UniqueStream make_stream() {
  UniqueStream stream;
  check_device(cudaStreamCreateWithFlags(stream.address(), cudaStreamNonBlocking),
               "cudaStreamCreateWithFlags");
  return stream;
}

inline UniqueEvent make_event() {
  UniqueEvent event;
  check_device(cudaEventCreateWithFlags(event.address(), cudaEventDisableTiming), "cudaEventCreateWithFlags");
  return event;
}

inline UniqueMemory make_memory(std::size_t bytes) {
  UniqueMemory memory;
  check_device(cudaMalloc(memory.address(), bytes), "cudaMalloc");
  return memory;
}

}  // namespace tessera::backends::nccl
