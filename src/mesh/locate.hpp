// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "tessera/comm/communicator.hpp"
#include "tessera/mesh/placement.hpp"

namespace tessera::mesh {

/// Collective. Where each rank of `world` runs: nodes by shared memory and numbered by their lowest rank, or,
/// with ranks_per_node > 0, that many ranks each, without sockets.
[[nodiscard]] std::vector<Location> locate(comm::Communicator& world, int ranks_per_node);

}  // namespace tessera::mesh
