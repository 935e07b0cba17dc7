// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace gpt_train {

/// `gpt_train top METRICS [--interval S] [--once]`: shows how the run that writes this metrics file stands.
/// On a terminal it follows the file until the run ends or Ctrl-C; elsewhere, and with --once, it prints
/// once. One process, no communication library. Gives the exit code: 0, 64 for wrong usage, 66 or 77 where
/// the file is missing or not readable.
[[nodiscard]] int top(std::vector<std::string> arguments);

}  // namespace gpt_train
