// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "command_line.hpp"
#include "tessera/base/exit_code.hpp"
#include "tessera/comm/communicator.hpp"

namespace gpt_train {

/// Prints what a run of `command` would be, without data and without allocating it: parameters, memory of a
/// rank of each stage, messages and bytes by axis and step, the ideal pipeline bubble.
[[nodiscard]] tessera::ExitCode dry_run(tessera::comm::Communicator& world, CommandLine const& command);

}  // namespace gpt_train
