// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The choice among proposals as an H200 (132 processors) made them, with the times that were measured there.
#include "choice.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace tessera::cublas {

namespace {

double results(double m, double n) { return m * n / 132; }

TEST(CublasChoice, AlternatingTilesComeBeforeLargerOnes) {
  // 256x128, 128x256, 192x192, 192x128, 320x128, 128x192, 128x160 (the fastest, 106 us to 121 of the first)
  std::vector<Candidate> const proposals{{66, 11.6364}, {66, 11.6364}, {66, 10.4242}, {66, 15.5152},
                                         {66, 9.6970},  {66, 15.6364}, {66, 18.7273}, {66, 15.5455}};
  EXPECT_EQ(choose(proposals, 66, results(16384, 3072)), 6U);
  // 192x192 ... 176x128, 168x128: 1.93 ms to 2.50
  std::vector<Candidate> const head{{66, 170.6970}, {66, 153.2121}, {66, 190.5455}, {66, 191.0303},
                                    {66, 254.0606}, {66, 256.0454}, {66, 277.3333}, {66, 290.9091}};
  EXPECT_EQ(choose(head, 66, results(16384, 50304)), 6U);
}

TEST(CublasChoice, TheFirstStaysWhereItsTilesAlternateOrNoneDo) {
  std::vector<Candidate> const small{{66, 0.8182}, {66, 0.8182}, {66, 0.8182}};
  EXPECT_EQ(choose(small, 66, results(2304, 768)), 0U);
  std::vector<Candidate> const large{{66, 2.9091}, {66, 2.6061}};
  EXPECT_EQ(choose(large, 66, results(16384, 768)), 0U);
}

TEST(CublasChoice, TheFamilyThatTheLibraryPrefersComesFirst) {
  // Without split-K it proposes slow kernels first (360 us to 79) for (768, 768, 16384).
  std::vector<Candidate> const proposals{{41, 0.2727}, {42, 0.2727}, {21, 0.5455}, {66, 0.2727}};
  EXPECT_EQ(choose(proposals, 66, results(768, 768)), 3U);
  EXPECT_EQ(choose(proposals, 7, results(768, 768)), 0U);
}

TEST(CublasChoice, FewTilesLeaveHalfOfTheGpuIdle) {
  EXPECT_TRUE(leaves_half_idle(0.2727));
  EXPECT_FALSE(leaves_half_idle(0.5455));
  EXPECT_FALSE(leaves_half_idle(18.7));
  EXPECT_FALSE(leaves_half_idle(0)) << "it does not say how many there are";
}

}  // namespace

}  // namespace tessera::cublas
