// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tessera/base/error.hpp"

namespace tessera::support {

/// Runs `action`, which must fail with `code` and a message that contains all of `words`.
template <class Action>
void expect_failure(ExitCode code, std::vector<std::string> const& words, Action const& action) {
  try {
    action();
    ADD_FAILURE() << "no error, but expected one about " << ::testing::PrintToString(words);
  } catch (Error const& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    for (auto const& word : words) {
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << word << " in: " << error.what();
    }
  }
}

}  // namespace tessera::support
