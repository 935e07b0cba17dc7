// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/device_session.hpp"

#include <fmt/format.h>

#include "tessera/base/error.hpp"

namespace tessera::comm {

std::unique_ptr<DeviceSession> open_device_session(std::span<DeviceCommunicatorBackend const> table,
                                                   std::string_view name, Communicator& world,
                                                   DeviceLimits const& limits) {
  std::string known;
  for (auto const& backend : table) {
    if (backend.name == name) return backend.open(world, limits);
    known += fmt::format("{}{}", known.empty() ? "" : ", ", backend.name);
  }
  throw ConfigError({fmt::format(
      "There is no device communicator '{}' in this binary; it has: {}. One is built where CMake "
      "finds a Kokkos for GPUs, their toolkit and the library.",
      name, known.empty() ? "none" : known)});
}

}  // namespace tessera::comm
