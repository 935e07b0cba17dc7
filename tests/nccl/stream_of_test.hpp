// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "nccl/ranks.hpp"
#include "support/cuda_double/kokkos_streams.hpp"

namespace tessera::support {

/// An instance of the host's space with a stream behind it.
class StreamOfTest {
 public:
  StreamOfTest() {
    EXPECT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess);
    cuda::give_stream(exec_, stream_);
  }
  StreamOfTest(StreamOfTest const&) = delete;
  StreamOfTest& operator=(StreamOfTest const&) = delete;
  ~StreamOfTest() {
    cuda::give_stream(exec_, nullptr);
    cudaStreamDestroy(stream_);
  }

  [[nodiscard]] StreamRef ref() const { return StreamRef(exec_); }
  /// Work that ends when `open` is true.
  void hold_until(std::atomic<bool>& open) {
    cudaLaunchHostFunc(
        stream_, [](void* gate) { static_cast<std::atomic<bool>*>(gate)->wait(false); }, &open);
  }
  template <class T>
  void copy(DeviceArray<T> const& from, DeviceArray<T> const& to) {
    cudaMemcpyAsync(to.data(), from.data(), from.size() * sizeof(T), cudaMemcpyDeviceToDevice, stream_);
  }
  void synchronise() { cudaStreamSynchronize(stream_); }

 private:
  ExecutionSpace exec_;
  cudaStream_t stream_ = nullptr;
};

}  // namespace tessera::support
