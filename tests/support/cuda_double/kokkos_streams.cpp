// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "support/cuda_double/kokkos_streams.hpp"

#include <map>
#include <optional>

namespace tessera::support::cuda_double {

namespace {

std::map<ExecutionSpace const*, cudaStream_t>& streams() {
  thread_local std::map<ExecutionSpace const*, cudaStream_t> instance;
  return instance;
}

}  // namespace

void give_stream(ExecutionSpace const& exec, cudaStream_t stream) {
  if (stream == nullptr) {
    streams().erase(&exec);
  } else {
    streams()[&exec] = stream;
  }
}

}  // namespace tessera::support::cuda_double

namespace tessera::backends::nccl {

std::optional<cudaStream_t> queue_of(StreamRef stream);
std::optional<int> kokkos_device();

std::optional<cudaStream_t> queue_of(StreamRef stream) {
  auto const& streams = support::cuda_double::streams();
  auto const found = streams.find(stream.exec());
  return found != streams.end() ? std::optional(found->second) : std::nullopt;
}

std::optional<int> kokkos_device() { return std::nullopt; }

}  // namespace tessera::backends::nccl
