// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/saver_options.hpp"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "tessera/base/error.hpp"

namespace tessera::checkpoint {

void check(SaverOptions const& options) {
  std::vector<std::string> problems;
  if (options.directory.empty()) problems.emplace_back("the directory to save into has no name");
  if (options.keep < 0) {
    problems.push_back(fmt::format("{} checkpoints cannot be kept; 0 keeps all", options.keep));
  }
  if (options.ranks_per_file < 1) {
    problems.push_back(fmt::format("{} ranks per file; at least 1", options.ranks_per_file));
  }
  if (!problems.empty()) throw ConfigError(problems);
}

}  // namespace tessera::checkpoint
