// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "tessera/comm/session.hpp"

namespace gpt_train {

/// `gpt_train doctor [--directory DIR] [--checkpoints N] [--ranks N] [options of a run]`, on one rank or on
/// many: looks at the libraries, at how the ranks were placed, at the limits of the system, at the directory
/// that checkpoints go to, and at the speed of communication and of matrix products. Rank 0 prints a line for
/// each, with advice where one is not well. Collective over `world`. Gives the exit code: 0, 78 when a line
/// says FAIL; throws ConfigError for wrong usage.
[[nodiscard]] int doctor(tessera::comm::Session& session, tessera::comm::Communicator& world,
                         std::vector<std::string> const& arguments);

}  // namespace gpt_train
