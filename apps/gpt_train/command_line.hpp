// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "settings.hpp"

namespace gpt_train {

enum class Action {
  train,
  dry_run,  ///< check the configuration for `ranks` ranks and forecast, allocating nothing
  version,  ///< say what this program is made of, and end
  print     ///< write `text` to standard output and end: --help, --dump-config
};

struct CommandLine {
  Action action = Action::train;
  std::string text;
  RunConfig config;
  int ranks = 1;  ///< for which `config` was checked: those of the job, or of the one planned for
};

/// Reads the arguments of the program (without its name) and the file that --config names; a value of a flag
/// goes before the file's, which goes before the default. The configuration is checked for the `world_ranks`
/// ranks of the job; --dry-run and --dump-config, run alone, plan for the number that --ranks gives, or for
/// tp x pp x dp.
///
/// With --dump-config what the configuration leaves open is filled in as it follows for those ranks; what a
/// run chooses by itself (tiles, libraries: auto) is not. So the dump read back gives the same run.
///
/// Before a run, not before a plan, `inspect` looks at the rest of the world with the settings as far as they
/// are known, and reports to them what is wrong with it.
///
/// Throws one ConfigError with all problems of flags, file, values and world, in this order. The exit code is
/// 64 when a flag is unknown or its text no value; else that of the first problem: 66 or 77 when the file is
/// missing or not readable, 78 for a value, and what `inspect` reports.
[[nodiscard]] CommandLine parse_command_line(std::vector<std::string> arguments, int world_ranks,
                                             std::function<void(Settings&)> const& inspect = {});

}  // namespace gpt_train
