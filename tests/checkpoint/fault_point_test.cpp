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
    fault_point("ckpt.begin");
    fault_point("ckpt.written");
    std::fprintf(stderr, "still here");
    fault_point("ckpt.begin");
  };
  EXPECT_EXIT(with_fault("files.write:stop,ckpt.begin#2:kill@1", [&] { body(1); }),
              testing::KilledBySignal(SIGKILL), "still here");
  EXPECT_EXIT(with_fault("ckpt.begin#2:kill@1", [&] { body(0); }), testing::ExitedWithCode(0), "still here");
  EXPECT_EXIT(with_fault("ckpt.begin#3:kill", [&] { body(0); }), testing::ExitedWithCode(0), "still here");
  EXPECT_EXIT(with_fault("ckpt.begin:kill", [&] { body(7); }), testing::KilledBySignal(SIGKILL), "^$");
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
    fault_point("ckpt.begin");
    if (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(200)) std::exit(2);
  };
  EXPECT_EXIT(with_fault("ckpt.begin:sleep=200", body), testing::ExitedWithCode(0), "");
}

TEST_F(FaultPointDeathTest, WhatCannotBeUnderstoodIsAConfigurationError) {
  for (char const* const wrong :
       {"files.write", "files.write:", "files.write:explode", "files.write:kill@", "files.write:kill@x",
        "files.write#:kill", "files.write#-1:kill", "files.write#0:kill", "files.write:sleep=1s"}) {
    EXPECT_EXIT(with_fault(wrong, [] { fault_point("ckpt.begin"); }), testing::ExitedWithCode(1),
                "78 TESSERA_FAULT: 'files.write.* is not POINT")
        << wrong;
  }
}

TEST_F(FaultPointDeathTest, ARankThatThereIsNotIsRefusedOnceTheirNumberIsKnown) {
  auto const body = [] { read_faults_of(2); };
  EXPECT_EXIT(with_fault("files.write:kill@1", body), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(with_fault("files.write:kill@1,files.sync:kill@2", body), testing::ExitedWithCode(1),
              "78 TESSERA_FAULT: there is no rank 2: the ranks are 0 to 1");
}

TEST_F(FaultPointDeathTest, APointThatThereIsNotIsRefusedWhenTheProgramStarts) {
  for (char const* const wrong : {"ckpt.before_remane:kill", ":kill", "files.write:kill,files.writes:stop"}) {
    EXPECT_EXIT(with_fault(wrong, read_faults), testing::ExitedWithCode(1),
                "78 TESSERA_FAULT: there is no fault point '.*', but ckpt.create_file, ckpt.write_data")
        << wrong;
  }
  EXPECT_EXIT(with_fault("files.write:kill", [] { fault_point("files.writes"); }), testing::ExitedWithCode(1),
              "70 .*table of fault points");
}

}  // namespace tessera::checkpoint
