// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Tests that fail, each in its own way: what the test main makes of them is what is tested (CMakeLists.txt).
#include <gtest/gtest.h>

#include <stdexcept>

#include "support/parallel.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera {
namespace {

TEST(Failing, OnTheLastRankAlone) {
  EXPECT_NE(support::world().rank(), support::world().size() - 1) << "the last rank's own words";
}

TEST(Failing, ByAnExceptionOnTheLastRank) {
  if (support::world().rank() == support::world().size() - 1)
    throw std::runtime_error("thrown on the last rank");
}

TEST(Hanging, BecauseTheLastRankLeftEarly) {
  ASSERT_NE(support::world().rank(), support::world().size() - 1) << "this rank left early";
  comm::barrier(support::world());
}

}  // namespace
}  // namespace tessera
