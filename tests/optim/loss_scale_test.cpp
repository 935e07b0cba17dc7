// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/optim/loss_scale.hpp"

#include <gtest/gtest.h>

namespace tessera::optim {
namespace {

constexpr LossScaleOptions dynamic{.initial = 8, .minimum = 2, .window = 3};

TEST(LossScale, IsOneAndStaysWhereNothingIsSaid) {
  LossScale scale({});
  EXPECT_FALSE(scale.dynamic());
  for (int i = 0; i < 5000; ++i) scale.updated();
  EXPECT_FALSE(scale.overflowed()) << "no other scale would cure it";
  EXPECT_EQ(scale.factor(), 1);
}

TEST(LossScale, DoublesAfterSoManyUpdatesWithoutAnOverflow) {
  LossScale scale(dynamic);
  for (int i = 0; i < 2; ++i) scale.updated();
  EXPECT_EQ(scale.factor(), 8);
  scale.updated();
  EXPECT_EQ(scale.factor(), 16);
  for (int i = 0; i < 3; ++i) scale.updated();
  EXPECT_EQ(scale.factor(), 32);
}

TEST(LossScale, IsHalvedByAnOverflowWhichBeginsTheCountAnew) {
  LossScale scale(dynamic);
  scale.updated();
  scale.updated();
  EXPECT_TRUE(scale.overflowed());
  EXPECT_EQ(scale.factor(), 4);
  scale.updated();
  scale.updated();
  EXPECT_EQ(scale.factor(), 4);
  scale.updated();
  EXPECT_EQ(scale.factor(), 8);
}

TEST(LossScale, DoesNotGoBelowItsMinimumNorBeyondTheLargest) {
  LossScale scale(dynamic);
  EXPECT_TRUE(scale.overflowed());
  EXPECT_TRUE(scale.overflowed());
  EXPECT_FALSE(scale.overflowed()) << "a smaller scale is not to be had";
  EXPECT_EQ(scale.factor(), 2);
  LossScale large({.initial = largest_loss_scale, .window = 1});
  large.updated();
  EXPECT_EQ(large.state().scale, largest_loss_scale);
}

TEST(LossScale, GoesOnFromItsState) {
  LossScale before(dynamic), after({.initial = 1 << 20, .minimum = 2, .window = 3});
  before.updated();
  before.updated();
  after.resume(before.state());
  after.updated();
  EXPECT_EQ(after.factor(), 16);
  LossScale fixed({.initial = 4});
  fixed.resume(before.state());
  EXPECT_EQ(fixed.factor(), 4) << "a static one is what it is told";
}

}  // namespace
}  // namespace tessera::optim
