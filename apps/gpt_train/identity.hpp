// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "command_line.hpp"
#include "tessera/comm/communicator.hpp"

namespace gpt_train {

/// Collective. Ranks that were started with other options, another configuration file or another binary than
/// the most would wait for each other for ever, or train something else. Throws ConfigError on each such
/// rank, naming what differs, and on no other: see `agree`.
void expect_same_everywhere(tessera::comm::Communicator& world, CommandLine const& command);

}  // namespace gpt_train
