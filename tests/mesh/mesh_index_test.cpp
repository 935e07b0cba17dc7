// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/mesh/mesh_index.hpp"

#include <gtest/gtest.h>

namespace tessera::mesh {
namespace {

TEST(MeshIndex, TheFirstAxisOfTheOrderCountsFastest) {
  MeshIndex const index({.tp = 2, .pp = 3, .dp = 4}, "tp,dp,pp");
  EXPECT_EQ(index.coordinates(1), (Coordinates{.tp = 1, .dp = 0, .pp = 0}));
  EXPECT_EQ(index.coordinates(2), (Coordinates{.tp = 0, .dp = 1, .pp = 0}));
  EXPECT_EQ(index.coordinates(8), (Coordinates{.tp = 0, .dp = 0, .pp = 1}));
  MeshIndex const other({.tp = 2, .pp = 3, .dp = 4}, "pp,tp,dp");
  EXPECT_EQ(other.coordinates(1), (Coordinates{.tp = 0, .dp = 0, .pp = 1}));
  EXPECT_EQ(other.coordinates(3), (Coordinates{.tp = 1, .dp = 0, .pp = 0}));
}

TEST(MeshIndex, RankAndCoordinatesAreInverse) {
  for (char const* order : {"tp,dp,pp", "tp,pp,dp", "dp,tp,pp", "dp,pp,tp", "pp,tp,dp", "pp,dp,tp"}) {
    MeshIndex const index({.tp = 3, .pp = 2, .dp = 4}, order);
    for (int rank = 0; rank < index.size(); ++rank)
      EXPECT_EQ(index.rank(index.coordinates(rank)), rank) << order;
  }
}

TEST(MeshIndex, GroupsAreThoseOfTheDrawnExample) {
  MeshIndex const index({.tp = 2, .pp = 2, .dp = 2}, "tp,dp,pp");
  EXPECT_EQ(index.group(Axis::tp, 3), (std::vector{2, 3}));
  EXPECT_EQ(index.group(Axis::dp, 3), (std::vector{1, 3}));
  EXPECT_EQ(index.group(Axis::pp, 3), (std::vector{3, 7}));
  EXPECT_EQ(index.first_ranks(Axis::dp), (std::vector{0, 1, 4, 5}));
}

TEST(MeshIndex, AnOrderNamesEveryAxisOnce) {
  EXPECT_EQ(order_problem("dp,pp,tp"), "");
  for (char const* wrong :
       {"", "tp", "tp,dp", "tp,tp,pp", "tp,dp,pp,", "tp,dp,pp,tp", "tp dp pp", "tp,dp,xx"}) {
    EXPECT_NE(order_problem(wrong), "") << wrong;
  }
}

}  // namespace
}  // namespace tessera::mesh
