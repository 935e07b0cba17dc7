// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/optim/learning_rate.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace tessera::optim {
namespace {

constexpr LearningRate typical{1e-3, 1e-4, 10, 110};

TEST(LearningRate, RisesLinearlyThenFallsAsHalfACosineThenStays) {
  EXPECT_DOUBLE_EQ(typical.at(1), 1e-4);
  EXPECT_DOUBLE_EQ(typical.at(5), 5e-4);
  EXPECT_DOUBLE_EQ(typical.at(10), 1e-3);
  EXPECT_DOUBLE_EQ(typical.at(60), 5.5e-4);                                  // half way
  EXPECT_DOUBLE_EQ(typical.at(35), 1e-4 + 4.5e-4 * (1.0 + std::sqrt(0.5)));  // a quarter
  EXPECT_DOUBLE_EQ(typical.at(110), 1e-4);
  EXPECT_DOUBLE_EQ(typical.at(1'000'000), 1e-4);
}

TEST(LearningRate, NeverRisesAfterWarmUp) {
  for (std::int64_t step = 10; step < 120; ++step) {
    EXPECT_GE(typical.at(step), typical.at(step + 1)) << "step " << step;
    EXPECT_GE(typical.at(step + 1), typical.minimum);
  }
}

TEST(LearningRate, WithoutWarmUpStartsBelowTheMaximumByOneStepOfTheCosine) {
  LearningRate const rate{1.0, 0.0, 0, 4};
  EXPECT_DOUBLE_EQ(rate.at(1), 0.5 * (1.0 + std::sqrt(0.5)));
  EXPECT_DOUBLE_EQ(rate.at(2), 0.5);
  EXPECT_DOUBLE_EQ(rate.at(4), 0.0);
}

/// Decay that ends before or with the warm-up leaves no cosine: warm-up to its end, then the minimum.
TEST(LearningRate, WithoutDecayStepsDropsToTheMinimumAfterWarmUp) {
  for (std::int64_t const decay_steps : {0, 3, 5}) {
    LearningRate const rate{1.0, 0.25, 5, decay_steps};
    EXPECT_DOUBLE_EQ(rate.at(1), 0.2);
    EXPECT_DOUBLE_EQ(rate.at(5), 1.0);
    EXPECT_DOUBLE_EQ(rate.at(6), 0.25);
  }
}

TEST(LearningRate, IsANumberForEveryStepAndEverySetting) {
  for (std::int64_t const warmup_steps : {0, 1, 7}) {
    for (std::int64_t const decay_steps : {0, 1, 7, 20}) {
      LearningRate const rate{1e-3, 1e-5, warmup_steps, decay_steps};
      for (std::int64_t step = 0; step < 25; ++step) {
        EXPECT_TRUE(std::isfinite(rate.at(step))) << warmup_steps << ", " << decay_steps << ", step " << step;
        EXPECT_GE(rate.at(step), 0.0);
        EXPECT_LE(rate.at(step), 1e-3);
      }
    }
  }
}

}  // namespace
}  // namespace tessera::optim
