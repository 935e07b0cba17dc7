// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace tessera::backends::mpi {

/// Whether tensors go through pinned host memory, which is where they lie on a device and MPI cannot read
/// that. The environment's TESSERA_MPI_DEVICE_MEMORY decides where it is "direct" or "staged"; else (or
/// "auto") MPI is asked. Says what was chosen, and why, in the log. Throws ConfigError when the variable has
/// another value.
[[nodiscard]] bool stages_device_memory();

/// The choice alone: `wish` is the variable's value, `on_device` where tensors lie, `aware` MPI's answer.
[[nodiscard]] bool stages(std::string_view wish, bool on_device, bool aware);

/// Whether a thread of its own makes all calls of MPI (comm/threaded.hpp): where tensors lie on a device, it
/// waits for the device, and the main thread for nobody. As the environment's TESSERA_MPI_THREAD says, "on"
/// or, where it is not set, "off". Says what was chosen in the log. Throws ConfigError when the variable has
/// another value.
[[nodiscard]] bool calls_from_thread();

/// The choice alone.
[[nodiscard]] bool threads(std::string_view wish);

}  // namespace tessera::backends::mpi
