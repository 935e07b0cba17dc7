// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The variable is read once in a process, so each case is one of its own.
#include "tessera/checkpoint/fault_point.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <chrono>
#include <cstdio>

#include "sample.hpp"
#include "tessera/checkpoint/files.hpp"

namespace tessera::checkpoint {

namespace {

/// Runs `body` with TESSERA_FAULT set; ends with 0, or 1 after printing an Error's message.
template <class Body>
[[noreturn]] void with_fault(char const* variable, Body const& body) {
  ::setenv("TESSERA_FAULT", variable, 1);
  try {
    body();
  } catch (Error const& error) {
    std::fprintf(stderr, "%d %s", static_cast<int>(error.code()), error.what());
    std::exit(1);
  }
  std::exit(0);
}

class FaultPoint : public testing::Test {
 protected:
  FaultPoint() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

using FaultPointDeathTest = FaultPoint;

}  // namespace

TEST_F(FaultPointDeathTest, KillsAtTheTimeAndOnTheRankAskedFor) {
  auto const body = [](int rank) {
    set_fault_rank(rank);
    fault_point("a.point");
    fault_point("another.point");
    std::fprintf(stderr, "still here");
    fault_point("a.point");
  };
  EXPECT_EXIT(with_fault("x:stop,a.point#2:kill@1", [&] { body(1); }), testing::KilledBySignal(SIGKILL),
              "still here");
  EXPECT_EXIT(with_fault("a.point#2:kill@1", [&] { body(0); }), testing::ExitedWithCode(0), "still here");
  EXPECT_EXIT(with_fault("a.point#3:kill", [&] { body(0); }), testing::ExitedWithCode(0), "still here");
  EXPECT_EXIT(with_fault("a.point:kill", [&] { body(7); }), testing::KilledBySignal(SIGKILL), "^$");
  EXPECT_EXIT(with_fault("", [&] { body(0); }), testing::ExitedWithCode(0), "still here");
}

TEST_F(FaultPointDeathTest, AnErrorOnPurposeIsLikeARealOne) {
  auto const body = [] {
    test::TemporaryFolder const folder;
    try {
      write_text_atomically(folder.path("text"), "new");
    } catch (...) {
      if (!list_directory(folder.path()).empty()) std::exit(2);
      throw;
    }
  };
  EXPECT_EXIT(with_fault("files.rename:io_error", body), testing::ExitedWithCode(1),
              "74 fault point files.rename: No space left on device");
  EXPECT_EXIT(with_fault("files.write:io_error=5", body), testing::ExitedWithCode(1), "Input/output error");
}

TEST_F(FaultPointDeathTest, SleepWaits) {
  auto const body = [] {
    auto const begin = std::chrono::steady_clock::now();
    fault_point("a");
    if (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(200)) std::exit(2);
  };
  EXPECT_EXIT(with_fault("a:sleep=200", body), testing::ExitedWithCode(0), "");
}

TEST_F(FaultPointDeathTest, WhatCannotBeUnderstoodIsAConfigurationError) {
  for (char const* const wrong :
       {"a", "a:", "a:explode", "a:kill@", "a:kill@x", "a#:kill", "a#-1:kill", "a:sleep=1s"}) {
    EXPECT_EXIT(with_fault(wrong, [] { fault_point("b"); }), testing::ExitedWithCode(1),
                "78 TESSERA_FAULT: 'a")
        << wrong;
  }
}

}  // namespace tessera::checkpoint
