// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "departure.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>

#include "tessera/base/log.hpp"

namespace gpt_train {
namespace {

constexpr double now = 1'700'000'000;

TEST(SecondsLeft, AreThoseOfTheConfigurationBeforeTheScheduler) {
  EXPECT_EQ(seconds_left(2, nullptr, now), 120);
  EXPECT_EQ(seconds_left(2, "1700000060", now), 120);
  EXPECT_EQ(seconds_left(0, "1700000060", now), 60);
  EXPECT_EQ(seconds_left(0, nullptr, now), std::nullopt);
}

TEST(SecondsLeft, AreUnknownWhenTheSchedulerSaysNothingOfUse) {
  for (char const* const text :
       {"", "tomorrow", "1700000060 ", "1.7e9", "1700000000", "0", "-5", "99999999999999999999999999"}) {
    std::string told;
    tessera::set_log_sink([&](tessera::LogLevel, std::string_view message) { told += message; });
    EXPECT_EQ(seconds_left(0, text, now), std::nullopt) << text;
    tessera::set_log_sink({});
    EXPECT_NE(told.find(std::string("SLURM_JOB_END_TIME is '") + text + "' and "), std::string::npos) << told;
  }
}

TEST(TimeLimit, LeavesTimeForAStepASaveAndAMargin) {
  TimeLimit limit(100, 20);  // 5 s of margin
  EXPECT_FALSE(limit.reached(74));
  EXPECT_TRUE(limit.reached(75));
  limit.note_step(10);
  limit.note_step(4);  // the longest counts
  EXPECT_FALSE(limit.reached(64));
  EXPECT_TRUE(limit.reached(65));
  limit.note_save(2);  // what a save takes is known now
  EXPECT_FALSE(limit.reached(82));
  EXPECT_TRUE(limit.reached(83));
}

TEST(TimeLimit, KeepsAtMostHalfAMinuteAside) {
  TimeLimit const limit(24 * 3600, 0);
  EXPECT_FALSE(limit.reached(24 * 3600 - 31));
  EXPECT_TRUE(limit.reached(24 * 3600 - 30));
}

TEST(Departure, SignalsGoBeforeClocksWhichOnlyOneRankHas) {
  tessera::train::CheckpointConfig config;
  config.interval_minutes = 1e-9;
  tessera::train::SignalWatch const signals;
  Departure const first(config, signals, true, 0), other(config, signals, false, 0);
  EXPECT_EQ(first.wish(), Wish::save);
  EXPECT_EQ(other.wish(), Wish::nothing);
  std::raise(SIGTERM);
  EXPECT_EQ(other.wish(), Wish::leave_on_sigterm);
}

TEST(Departure, TheEndOfASlurmJobIsALimit) {
  tessera::train::SignalWatch const signals;
  auto const soon = std::to_string(std::time(nullptr) + 100);
  setenv("SLURM_JOB_END_TIME", soon.c_str(), 1);
  Departure const in_time({}, signals, true, 1e9), too_large({}, signals, true, 1e11);
  unsetenv("SLURM_JOB_END_TIME");
  EXPECT_EQ(in_time.wish(), Wish::nothing);
  EXPECT_EQ(too_large.wish(), Wish::leave_in_time) << "1,000 s at 100 MB/s";
  EXPECT_EQ(Departure({}, signals, true, 1e11).wish(), Wish::nothing) << "no limit is known";
}

}  // namespace
}  // namespace gpt_train
