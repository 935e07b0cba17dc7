// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace tessera::backends::mpi {

/// The way of tensors to MPI.
enum class TensorWay {
  direct,       ///< from the memory they lie in
  sums_staged,  ///< sums through pinned host memory, all else direct
  staged        ///< through pinned host memory
};

/// The environment's TESSERA_MPI_DEVICE_MEMORY decides where it is "direct" or "staged"; else (or "auto")
/// MPI, which is initialised, is asked. Throws ConfigError when the variable has another value.
[[nodiscard]] TensorWay choose_tensor_way();

/// The choice alone: `wish` is the variable's value, `on_device` where tensors lie, `aware` MPI's answer. An
/// MPI that reads device memory does not for sums that do not block, as those here: Open MPI (issue 9845)
/// ends with a fault of memory.
[[nodiscard]] TensorWay tensor_way(std::string_view wish, bool on_device, bool aware);

/// The choices in words. Empty where tensors lie on hosts and nothing was asked for.
[[nodiscard]] std::string describe(TensorWay way, bool threaded);

/// Whether a thread of its own makes all calls of MPI (comm/threaded.hpp): where tensors lie on a device, it
/// waits for the device, and the main thread for nobody. As the environment's TESSERA_MPI_THREAD says, "on"
/// or, where it is not set, "off". Throws ConfigError when the variable has another value.
[[nodiscard]] bool calls_from_thread();

/// The choice alone.
[[nodiscard]] bool threads(std::string_view wish);

}  // namespace tessera::backends::mpi
