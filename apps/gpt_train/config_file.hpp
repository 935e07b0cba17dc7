// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "settings.hpp"

namespace gpt_train {

/// Reads a TOML file into `settings`: a table for each section of RunConfig, a key for each of its members.
/// What is wrong is reported there with file and line: a file that is missing (exit code 66), unreadable
/// (77), larger than 1 MiB or not TOML (78), unknown tables and keys with the nearest name there is, values
/// of another type. Gives false when nothing could be read, so that rules about the values would only
/// confuse.
bool read_config_file(std::string const& path, Settings& settings);

}  // namespace gpt_train
