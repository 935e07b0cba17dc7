// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/base/error.hpp"

#include <fmt/format.h>

#include <utility>

namespace tessera {

namespace {

std::string join(std::vector<std::string> const& problems) {
  if (problems.size() == 1) return problems.front();
  std::string text = fmt::format("{} problems:", problems.size());
  for (auto const& problem : problems) text += "\n  - " + problem;
  return text;
}

}  // namespace

ConfigError::ConfigError(std::vector<std::string> problems, ExitCode code)
    : Error(code, join(problems)), problems_(std::move(problems)) {}

void require(bool condition, std::string_view what, std::source_location where) {
  if (condition) return;
  throw InternalError(fmt::format("{}:{}: {}: broken invariant: {}", where.file_name(), where.line(),
                                  where.function_name(), what));
}

}  // namespace tessera
