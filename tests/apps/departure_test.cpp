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
  EXPECT_FALSE(limit.reached(74, 0));
  EXPECT_TRUE(limit.reached(75, 0));
  EXPECT_TRUE(limit.reached(50, 30)) << "a first step that took long may be followed by another";
  limit.note_step(10);
  limit.note_step(4);  // the longest counts
  EXPECT_FALSE(limit.reached(64, 9));
  EXPECT_TRUE(limit.reached(65, 9));
  EXPECT_TRUE(limit.reached(64, 11)) << "the step that is ending is the longest";
  limit.note_save(2);  // what a save takes is known now
  EXPECT_FALSE(limit.reached(82, 0));
  EXPECT_TRUE(limit.reached(83, 0));
}

TEST(TimeLimit, KeepsAtMostHalfAMinuteAside) {
  TimeLimit const limit(24 * 3600, 0);
  EXPECT_FALSE(limit.reached(24 * 3600 - 31, 0));
  EXPECT_TRUE(limit.reached(24 * 3600 - 30, 0));
}

TEST(Departure, SignalsGoBeforeClocksWhichOnlyOneRankHas) {
  tessera::train::CheckpointConfig config;
  config.interval_minutes = 1e-9;
  tessera::train::SignalWatch const signals;
  auto const start = Departure::Clock::now();
  Departure const first(config, signals, true, 0, start), other(config, signals, false, 0, start);
  EXPECT_EQ(first.wish(), Wish::save);
  EXPECT_EQ(other.wish(), Wish::nothing);
  std::raise(SIGTERM);
  EXPECT_EQ(other.wish(), Wish::leave_on_sigterm);
}

TEST(Departure, TheEndOfASlurmJobIsALimit) {
  tessera::train::SignalWatch const signals;
  auto const soon = std::to_string(std::time(nullptr) + 100);
  setenv("SLURM_JOB_END_TIME", soon.c_str(), 1);
  auto const start = Departure::Clock::now(), earlier = start - std::chrono::hours(10);
  Departure const in_time({}, signals, true, 1e9, start), too_large({}, signals, true, 1e11, start);
  Departure const begun_earlier({}, signals, true, 7.1e9, earlier);
  unsetenv("SLURM_JOB_END_TIME");
  EXPECT_EQ(in_time.wish(), Wish::nothing);
  EXPECT_EQ(too_large.wish(), Wish::leave_in_time) << "1,000 s at 100 MB/s";
  EXPECT_EQ(begun_earlier.wish(), Wish::leave_in_time)
      << "100 s are left for a save of 71 s and a margin of 30 s, since the whole time is long";
  EXPECT_EQ(Departure({}, signals, true, 1e11, start).wish(), Wish::nothing) << "no limit is known";
}

TEST(Departure, ItsTimeCountsFromTheBeginningOfTheProgram) {
  tessera::train::CheckpointConfig config;
  config.time_limit_minutes = 10;
  tessera::train::SignalWatch const signals;
  auto const now = Departure::Clock::now();
  EXPECT_EQ(Departure(config, signals, true, 0, now).wish(), Wish::nothing);
  EXPECT_EQ(Departure(config, signals, true, 0, now - std::chrono::minutes(9)).wish(), Wish::nothing);
  EXPECT_EQ(Departure(config, signals, true, 0, now - std::chrono::seconds(575)).wish(), Wish::leave_in_time);
}

}  // namespace
}  // namespace gpt_train
