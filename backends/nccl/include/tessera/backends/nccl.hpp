// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// For programs that open NCCL by name of this header; others find it in the table of comm/device_session.hpp
// and need no header of a backend.
#pragma once

#include <memory>
#include <string>

#include "tessera/comm/device_session.hpp"

namespace tessera::backends::nccl {

/// comm::DeviceCommunicatorBackend::open of NCCL, or of RCCL where the library was built with it.
[[nodiscard]] std::unique_ptr<comm::DeviceSession> open(comm::Communicator& world,
                                                        comm::DeviceLimits const& limits);

/// comm::DeviceCommunicatorBackend::version: "NCCL: 2.28.3".
[[nodiscard]] std::string library_version();

}  // namespace tessera::backends::nccl
