// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "support.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "command_line.hpp"

namespace gpt_train {

TemporaryFile::TemporaryFile(std::string_view content) : path_(::testing::TempDir() + "gpt_train_XXXXXX") {
  int const file = mkstemp(path_.data());
  EXPECT_GE(file, 0);
  EXPECT_EQ(write(file, content.data(), content.size()), static_cast<ssize_t>(content.size()));
  close(file);
}

TemporaryFile::~TemporaryFile() { std::remove(path_.c_str()); }

std::string inputs_folder() { return TESSERA_INPUTS; }

void expect_error(std::vector<std::string> const& arguments, int ranks, tessera::ExitCode code,
                  std::vector<std::string> const& parts) {
  try {
    (void)parse_command_line(arguments, ranks);
    FAIL() << "no error, expected: " << parts.front();
  } catch (tessera::ConfigError const& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_EQ(error.problems().size(), parts.size()) << error.what();
    for (std::string const& part : parts) {
      auto const has = [&](std::string const& problem) { return problem.find(part) != std::string::npos; };
      EXPECT_TRUE(std::ranges::any_of(error.problems(), has))
          << "not found: " << part << "\nin: " << error.what();
    }
  }
}

}  // namespace gpt_train
