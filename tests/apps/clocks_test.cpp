// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "clocks.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/parallel.hpp"

namespace gpt_train {
namespace {

using tessera::support::for_each_group;

/// Hosts that were started at different times: this one has counted so many seconds more than rank 0's.
double ahead(int rank) { return 1000.0 * rank; }

TEST(ClockOffset, OfHostsBootedAtOtherTimesIsFoundWithinItsError) {
  for_each_group({1, 2, 3, 4}, [](auto& group) {
    int const host = group.rank() / 2;  // two ranks each
    auto const clock = [&] { return steady_seconds() + ahead(host); };
    auto const found = clock_offset(group, "boot " + std::to_string(host), clock);
    EXPECT_LE(std::abs(found.offset_s + ahead(host)), found.error_s + 1e-9);
    EXPECT_LT(found.error_s, 1.0);
    EXPECT_EQ(found.error_s > 0, host > 0);
  });
}

TEST(ClockOffset, IsNothingBetweenProcessesOfOneBoot) {
  for_each_group({1, 2, 3, 4}, [](auto& group) {
    auto const found = clock_offset(group);
    EXPECT_EQ(found.offset_s, 0);
    EXPECT_EQ(found.error_s, 0);
  });
}

TEST(ClockOffset, MomentsAndSecondsAreTheSame) {
  double const now = steady_seconds();
  double const again = std::chrono::duration<double>(moment_of(now).time_since_epoch()).count();
  EXPECT_NEAR(again, now, 1e-6);
}

}  // namespace
}  // namespace gpt_train
