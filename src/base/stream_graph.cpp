// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/base/stream_graph.hpp"

#if defined(KOKKOS_ENABLE_CUDA)
#include <fmt/format.h>

#include "tessera/base/error.hpp"
#include "tessera/base/unique_handle.hpp"
#endif

namespace tessera {

#if defined(KOKKOS_ENABLE_CUDA)

namespace {

void check(cudaError_t error, char const* call) {
  if (error == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());
  throw DeviceError(
      fmt::format("{} failed: {}; without --cuda-graph a step is given to the device piece by piece", call,
                  cudaGetErrorString(error)));
}

struct GraphTraits {
  using Handle = cudaGraph_t;
  static Handle null() noexcept { return nullptr; }
  static void free(Handle graph) noexcept { static_cast<void>(cudaGraphDestroy(graph)); }
};
using UniqueGraph = UniqueHandle<GraphTraits>;

struct ExecutableTraits {
  using Handle = cudaGraphExec_t;
  static Handle null() noexcept { return nullptr; }
  static void free(Handle graph) noexcept { static_cast<void>(cudaGraphExecDestroy(graph)); }
};

class CudaGraph final : public StreamGraph {
 public:
  void record(ExecutionSpace const& exec, std::function<void()> const& work) override {
    auto const stream = exec.cuda_stream();
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    UniqueGraph graph;
    try {
      work();
    } catch (...) {
      static_cast<void>(cudaStreamEndCapture(stream, graph.address()));
      static_cast<void>(cudaGetLastError());
      throw;
    }
    check(cudaStreamEndCapture(stream, graph.address()), "cudaStreamEndCapture");
    if (executable_ && takes(graph.get())) return;
    executable_.reset();
    check(cudaGraphInstantiate(executable_.address(), graph.get(), 0), "cudaGraphInstantiate");
  }
  void launch(ExecutionSpace const& exec) override {
    check(cudaGraphLaunch(executable_.get(), exec.cuda_stream()), "cudaGraphLaunch");
  }

 private:
  /// Whether the graph differs from the last one in its arguments alone, which costs less than a new one.
  [[nodiscard]] bool takes(cudaGraph_t graph) {
    cudaGraphExecUpdateResultInfo info{};
    if (cudaGraphExecUpdate(executable_.get(), graph, &info) == cudaSuccess) return true;
    static_cast<void>(cudaGetLastError());
    return false;
  }

  UniqueHandle<ExecutableTraits> executable_;
};

}  // namespace

std::unique_ptr<StreamGraph> make_stream_graph() { return std::make_unique<CudaGraph>(); }

#else

std::unique_ptr<StreamGraph> make_stream_graph() { return nullptr; }

#endif

}  // namespace tessera
