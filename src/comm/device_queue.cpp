// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/device_queue.hpp"

#if defined(KOKKOS_ENABLE_CUDA)
#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "tessera/base/error.hpp"
#include "tessera/base/unique_handle.hpp"
#include "tessera/comm/device_ops.hpp"
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
  void order(StreamRef stream) override {
    check(cudaStreamWaitEvent(stream.exec()->cuda_stream(), event_.get(), 0), "cudaStreamWaitEvent");
  }

 private:
  UniqueHandle<EventTraits> event_;
};

void check(CUresult error, char const* call) {
  if (error == CUDA_SUCCESS) return;
  char const* text = nullptr;
  cuGetErrorString(error, &text);
  throw DeviceError(fmt::format("{} failed: {}", call, text != nullptr ? text : "unknown error"));
}

/// A word in pinned memory for which the queue itself waits. A function of the host in the queue would not
/// do: those of several queues may be called one after the other, and the first would hold up the others.
class CudaGate final : public Gate {
 public:
  /// Takes a word of `free`, which outlives this, and gives it back.
  explicit CudaGate(std::vector<std::uint32_t*>& free) : free_(&free), word_(free.back()) { free.pop_back(); }
  ~CudaGate() override { free_->push_back(word_); }

  void close() noexcept override { set(closed); }
  void hold(StreamRef stream) override {
    auto* const queue = stream.exec()->cuda_stream();
    auto const word = reinterpret_cast<CUdeviceptr>(word_);  // addresses are those of the host
    check(cuStreamWaitValue32(queue, word, opened, CU_STREAM_WAIT_VALUE_GEQ), "cuStreamWaitValue32");
    check(cuStreamWriteValue32(queue, word, gone_through, CU_STREAM_WRITE_VALUE_DEFAULT),
          "cuStreamWriteValue32");
  }
  void open() noexcept override { set(opened); }
  bool passed() const noexcept override {
    return std::atomic_ref(*word_).load(std::memory_order_acquire) == gone_through;
  }

 private:
  static constexpr std::uint32_t closed = 0, opened = 1, gone_through = 2;

  void set(std::uint32_t value) noexcept { std::atomic_ref(*word_).store(value, std::memory_order_release); }

  std::vector<std::uint32_t*>* free_;
  std::uint32_t* word_;
};

/// Words for gates, taken together: while queues are held, taking pinned memory may wait for them.
class GateWords {
 public:
  std::vector<std::uint32_t*>& some() {
    if (!free_.empty()) return free_;
    auto const& page = pages_.emplace_back("tessera::comm::gates", gates_a_page, words_a_gate);
    free_.reserve(pages_.size() * gates_a_page);
    for (std::size_t gate = 0; gate < gates_a_page; ++gate) free_.push_back(&page(gate, 0));
    return free_;
  }

 private:
  static constexpr std::size_t gates_a_page = 1024;
  static constexpr std::size_t words_a_gate = 16;  // a line of the cache of its own

  std::vector<Kokkos::View<std::uint32_t**, Kokkos::LayoutRight, StagingSpace>> pages_;
  std::vector<std::uint32_t*> free_;
};

class KokkosWork final : public WorkQueue {
 public:
  StreamRef stream() const override { return StreamRef(exec_); }
  void copy(void* to, void const* from, std::size_t bytes) override { start_copy(exec_, to, from, bytes); }
  void add(void* to, void const* a, void const* b, std::size_t count, DType type) override {
    start_add(exec_, to, a, b, count, type);
  }

 private:
  ExecutionSpace exec_ = copying_instance();
};

class CudaQueues final : public DeviceQueues {
 public:
  bool has_queue(StreamRef stream) const override { return stream.exec() != nullptr; }
  bool is_on_device(void const* memory) const override { return is_tensor_memory(memory); }
  std::unique_ptr<QueueMark> make_mark() override { return std::make_unique<CudaMark>(); }
  std::unique_ptr<Gate> make_gate() override { return std::make_unique<CudaGate>(words_.some()); }
  std::unique_ptr<WorkQueue> make_work_queue() override { return std::make_unique<KokkosWork>(); }
  void enter() override { check(cudaSetDevice(ExecutionSpace().cuda_device()), "cudaSetDevice"); }

 private:
  GateWords words_;
};

}  // namespace

/// CUDA spreads queues over 8 connections unless told otherwise, and a queue that stands can hold up another
/// of the same connection: there are about three for every communicator.
void prepare_device_queues() noexcept { static_cast<void>(setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0)); }

std::unique_ptr<DeviceQueues> make_device_queues() { return std::make_unique<CudaQueues>(); }

#else

void prepare_device_queues() noexcept {}

std::unique_ptr<DeviceQueues> make_device_queues() { return nullptr; }

#endif

}  // namespace tessera::comm
