// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/device_queue.hpp"

#if defined(KOKKOS_ENABLE_CUDA)
#include <fmt/format.h>

#include "tessera/base/error.hpp"
#include "tessera/base/unique_handle.hpp"
#endif

namespace tessera::comm {

#if defined(KOKKOS_ENABLE_CUDA)

namespace {

void check(cudaError_t error, char const* call) {
  if (error == cudaSuccess) return;
  throw DeviceError(fmt::format("{} failed: {}", call, cudaGetErrorString(error)));
}

struct EventTraits {
  using Handle = cudaEvent_t;
  static Handle null() noexcept { return nullptr; }
  static void free(Handle event) noexcept { static_cast<void>(cudaEventDestroy(event)); }
};

class CudaMark final : public QueueMark {
 public:
  CudaMark() {
    check(cudaEventCreateWithFlags(event_.address(), cudaEventDisableTiming), "cudaEventCreateWithFlags");
  }
  void set(StreamRef stream) override {
    check(cudaEventRecord(event_.get(), stream.exec()->cuda_stream()), "cudaEventRecord");
  }
  bool reached() override {
    auto const state = cudaEventQuery(event_.get());
    if (state == cudaErrorNotReady) return false;
    check(state, "cudaEventQuery");
    return true;
  }

 private:
  UniqueHandle<EventTraits> event_;
};

class CudaQueues final : public DeviceQueues {
 public:
  bool has_queue(StreamRef stream) const override { return stream.exec() != nullptr; }
  std::unique_ptr<QueueMark> make_mark() override { return std::make_unique<CudaMark>(); }
  void hold(StreamRef stream, Gate& gate) override {
    auto const pass = [](void* held) { static_cast<Gate*>(held)->pass(); };
    check(cudaLaunchHostFunc(stream.exec()->cuda_stream(), pass, &gate), "cudaLaunchHostFunc");
  }
  void enter() override { check(cudaSetDevice(ExecutionSpace().cuda_device()), "cudaSetDevice"); }
};

}  // namespace

std::unique_ptr<DeviceQueues> make_device_queues() { return std::make_unique<CudaQueues>(); }

#else

std::unique_ptr<DeviceQueues> make_device_queues() { return nullptr; }

#endif

}  // namespace tessera::comm
