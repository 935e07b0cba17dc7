// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "stream.hpp"

namespace tessera::backends::nccl {

namespace {

template <class Space>
std::optional<cudaStream_t> queue_of_instance(Space const& exec) {
  if constexpr (requires { exec.cuda_stream(); }) {
    return exec.cuda_stream();
  } else if constexpr (requires { exec.hip_stream(); }) {
    return exec.hip_stream();
  } else {
    return std::nullopt;
  }
}

template <class Space>
std::optional<int> device_of_instance(Space const& exec) {
  if constexpr (requires { exec.cuda_device(); }) {
    return exec.cuda_device();
  } else if constexpr (requires { exec.hip_device(); }) {
    return exec.hip_device();
  } else {
    return std::nullopt;
  }
}

}  // namespace

std::optional<cudaStream_t> queue_of(StreamRef stream) {
  return stream.exec() != nullptr ? queue_of_instance(*stream.exec()) : std::nullopt;
}

std::optional<int> kokkos_device() {
  return kokkos_is_ready() ? device_of_instance(ExecutionSpace()) : std::nullopt;
}

}  // namespace tessera::backends::nccl
