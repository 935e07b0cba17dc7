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

#include "tessera/base/error.hpp"
#include "tessera/base/kokkos.hpp"
#include "tessera/base/log.hpp"

namespace tessera::backends::mpi {

namespace {

constexpr char const* variable = "TESSERA_MPI_DEVICE_MEMORY";
constexpr char const* thread_variable = "TESSERA_MPI_THREAD";

/// What MPI says of itself; one that cannot be asked reads host memory alone.
bool mpi_reads_device_memory() {
#if defined(KOKKOS_ENABLE_CUDA) && defined(MPIX_CUDA_AWARE_SUPPORT)
  return MPIX_Query_cuda_support() == 1;
#elif defined(KOKKOS_ENABLE_HIP) && defined(MPIX_ROCM_AWARE_SUPPORT)
  return MPIX_Query_rocm_support() == 1;
#else
  return false;
#endif
}

}  // namespace

bool stages(std::string_view wish, bool on_device, bool aware) {
  if (wish == "direct") return false;
  if (wish == "staged") return true;
  if (wish.empty() || wish == "auto") return on_device && !aware;
  throw ConfigError(
      {fmt::format("{} = \"{}\" in the environment: it is auto, direct or staged", variable, wish)});
}

bool stages_device_memory() {
  char const* const wish = std::getenv(variable);
  bool const aware = mpi_reads_device_memory();
  bool const staged = stages(wish != nullptr ? wish : "", !tensors_on_host, aware);
  if (!tensors_on_host || staged) {
    log(LogLevel::info,
        fmt::format("MPI {} device memory ({}): tensors {}", aware ? "reads" : "does not read",
                    wish != nullptr ? fmt::format("{}={}", variable, wish) : "as it says itself",
                    staged ? "go through pinned host memory" : "are handed to it as they are"));
  }
  return staged;
}

bool threads(std::string_view wish) {
  if (wish == "on") return true;
  if (wish.empty() || wish == "off") return false;
  throw ConfigError({fmt::format("{} = \"{}\" in the environment: it is on or off", thread_variable, wish)});
}

bool calls_from_thread() {
  char const* const wish = std::getenv(thread_variable);
  bool const threaded = threads(wish != nullptr ? wish : "");
  if (!tensors_on_host || threaded) {
    log(LogLevel::info,
        fmt::format("MPI is called by {}",
                    threaded ? "a thread of its own, which waits for the device" : "the main thread"));
  }
  return threaded;
}

}  // namespace tessera::backends::mpi
