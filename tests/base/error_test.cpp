// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/base/error.hpp"

#include <gtest/gtest.h>

namespace tessera {
namespace {

TEST(Error, CarriesTheExitCodeOfItsKind) {
  EXPECT_EQ(ConfigError({"x"}).code(), ExitCode::config);
  EXPECT_EQ(ConfigError({"x"}, ExitCode::usage).code(), ExitCode::usage);
  EXPECT_EQ(DataError("x").code(), ExitCode::data);
  EXPECT_EQ(DataError("x", ExitCode::no_input).code(), ExitCode::no_input);
  EXPECT_EQ(IoError("x").code(), ExitCode::io);
  EXPECT_EQ(MemoryError("x").code(), ExitCode::no_memory);
  EXPECT_EQ(CommError("x").code(), ExitCode::internal);
}

TEST(Error, OneProblemIsSaidAsItIsAndSeveralAreListed) {
  EXPECT_STREQ(ConfigError({"only one"}).what(), "only one");
  EXPECT_STREQ(ConfigError({"first", "second"}).what(), "2 problems:\n  - first\n  - second");
  EXPECT_EQ(ConfigError({"first", "second"}).problems().size(), 2u);
}

TEST(Error, ABrokenInvariantNamesItsLine) {
  require(true, "holds");
  try {
    require(false, "tiles cover the dim");
    FAIL() << "nothing was thrown";
  } catch (InternalError const& error) {
    std::string const message = error.what();
    EXPECT_NE(message.find("error_test.cpp:"), std::string::npos) << message;
    EXPECT_NE(message.find("tiles cover the dim"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace tessera
