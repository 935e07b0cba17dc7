// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/backends/mpi_device_memory.hpp"

#include <fmt/format.h>
#include <mpi.h>
#if __has_include(<mpi-ext.h>)
#include <mpi-ext.h>
#endif

#include <cstdlib>
#include <string>
#include <string_view>

#include "tessera/base/error.hpp"
#include "tessera/base/kokkos.hpp"

namespace tessera::backends::mpi {

namespace {

constexpr char const* variable = "TESSERA_MPI_DEVICE_MEMORY";
constexpr char const* thread_variable = "TESSERA_MPI_THREAD";

/// What MPI says of itself; one that cannot be asked reads host memory alone.
bool mpi_reads_device_memory() {
#if defined(KOKKOS_ENABLE_CUDA) && defined(MPIX_GPU_SUPPORT_CUDA)  // MPICH
  int reads = 0;
  return MPIX_GPU_query_support(MPIX_GPU_SUPPORT_CUDA, &reads) == MPI_SUCCESS && reads != 0;
#elif defined(KOKKOS_ENABLE_HIP) && defined(MPIX_GPU_SUPPORT_HIP)
  int reads = 0;
  return MPIX_GPU_query_support(MPIX_GPU_SUPPORT_HIP, &reads) == MPI_SUCCESS && reads != 0;
#elif defined(KOKKOS_ENABLE_CUDA) && defined(MPIX_CUDA_AWARE_SUPPORT)  // Open MPI
  return MPIX_Query_cuda_support() == 1;
#elif defined(KOKKOS_ENABLE_HIP) && defined(MPIX_ROCM_AWARE_SUPPORT)
  return MPIX_Query_rocm_support() == 1;
#else
  return false;
#endif
}

std::string_view wished(char const* name) {
  char const* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string_view to_string(TensorWay way) {
  switch (way) {
    case TensorWay::direct: return "tensors are handed to MPI as they are";
    case TensorWay::sums_staged:
      return "messages are handed to MPI as they are, sums go through pinned host memory";
    case TensorWay::staged: return "tensors go through pinned host memory";
  }
  return {};
}

}  // namespace

TensorWay tensor_way(std::string_view wish, bool on_device, bool aware) {
  if (wish == "direct") return TensorWay::direct;
  if (wish == "staged") return TensorWay::staged;
  if (!wish.empty() && wish != "auto") {
    throw ConfigError(
        {fmt::format("{} = \"{}\" in the environment: it is auto, direct or staged", variable, wish)});
  }
  if (!on_device) return TensorWay::direct;
  return aware ? TensorWay::sums_staged : TensorWay::staged;
}

TensorWay choose_tensor_way() {
  return tensor_way(wished(variable), !tensors_on_host, mpi_reads_device_memory());
}

std::string describe(TensorWay way, bool threaded) {
  if (tensors_on_host && way == TensorWay::direct && !threaded) return {};
  auto const wish = wished(variable);
  return fmt::format("{} ({}); {} calls it", to_string(way),
                     wish.empty() ? "as MPI says of itself" : fmt::format("{}={}", variable, wish),
                     threaded ? "a thread of its own" : "the main thread");
}

bool threads(std::string_view wish) {
  if (wish == "on") return true;
  if (wish.empty() || wish == "off") return false;
  throw ConfigError({fmt::format("{} = \"{}\" in the environment: it is on or off", thread_variable, wish)});
}

bool calls_from_thread() { return threads(wished(thread_variable)); }

}  // namespace tessera::backends::mpi
