// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "tessera/comm/device_session.hpp"
#include "tessera/train/run_config.hpp"

namespace gpt_train {

/// Collective over `world`. The library by which the devices of the ranks reach each other: null where
/// tensors lie on the host, nobody else is there, or no axis may use one. Throws ConfigError if one is asked
/// for that this program does not have, DeviceError if two ranks share a device.
[[nodiscard]] std::unique_ptr<tessera::comm::DeviceSession> open_devices(
    tessera::comm::Communicator& world, tessera::train::ParallelConfig const& config);

}  // namespace gpt_train
