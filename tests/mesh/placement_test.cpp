// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/mesh/placement.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace tessera::mesh {
namespace {

std::vector<Location> on_nodes(std::vector<int> const& nodes) {
  std::vector<Location> locations;
  for (int const node : nodes) locations.push_back({node, -1});
  return locations;
}

AxisPlan planned(MeshIndex const& index, Axis axis, std::vector<Location> const& locations, bool tiles) {
  return plan_axis(index, axis, in_mesh_order(place_ranks(index, locations), locations), tiles);
}

TEST(Placement, RanksDealtOutBlockwiseKeepTheirOrder) {
  MeshIndex const index({.tp = 2, .pp = 2, .dp = 2}, "tp,dp,pp");
  EXPECT_EQ(place_ranks(index, on_nodes({0, 0, 0, 0, 1, 1, 1, 1})), (std::vector{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(Placement, RanksDealtOutRoundRobinAreReorderedSoThatTpStaysInsideNodes) {
  MeshIndex const index({.tp = 2, .pp = 2, .dp = 2}, "tp,dp,pp");
  auto const locations = on_nodes({0, 1, 0, 1, 0, 1, 0, 1});
  EXPECT_EQ(place_ranks(index, locations), (std::vector{0, 2, 4, 6, 1, 3, 5, 7}));
  EXPECT_EQ(planned(index, Axis::tp, locations, false).level, Level::node);
}

TEST(Placement, TpStaysInsideNodesWhicheverAxisIsInnermost) {
  for (char const* order : {"dp,tp,pp", "dp,pp,tp", "pp,tp,dp", "pp,dp,tp"}) {
    MeshIndex const index({.tp = 4, .pp = 2, .dp = 2}, order);
    auto const locations = on_nodes({3, 2, 1, 0, 3, 2, 1, 0, 3, 2, 1, 0, 3, 2, 1, 0});
    EXPECT_EQ(planned(index, Axis::tp, locations, false).level, Level::node) << order;
  }
}

TEST(Placement, EveryProcessPlaysExactlyOneRank) {
  MeshIndex const index({.tp = 3, .pp = 1, .dp = 4}, "tp,dp,pp");
  auto ranks = place_ranks(index, on_nodes({0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 2}));
  std::sort(ranks.begin(), ranks.end());
  for (int rank = 0; rank < 12; ++rank) EXPECT_EQ(ranks[static_cast<std::size_t>(rank)], rank);
}

TEST(Placement, UnevenNodesHoldWholeTpGroupsWhereTheyCan) {
  MeshIndex const index({.tp = 3, .pp = 1, .dp = 2}, "tp,dp,pp");
  EXPECT_EQ(planned(index, Axis::tp, on_nodes({0, 1, 1, 0, 1, 0}), false).level, Level::node);
  EXPECT_EQ(planned(index, Axis::tp, on_nodes({0, 0, 1, 1, 2, 2}), false).level, Level::cluster);
}

TEST(Placement, SocketsHoldTpGroupsWhereTheyCan) {
  std::vector<Location> const alternating{{0, 0}, {0, 1}, {0, 0}, {0, 1}};
  MeshIndex const index({.tp = 2, .pp = 1, .dp = 2}, "tp,dp,pp");
  EXPECT_EQ(place_ranks(index, alternating), (std::vector{0, 2, 1, 3}));
  EXPECT_EQ(planned(index, Axis::tp, alternating, false).level, Level::socket);
  EXPECT_EQ(planned(index, Axis::dp, alternating, false).level, Level::node);
}

TEST(Placement, MembersPerNodeAsksForEqualRunsOfNeighbours) {
  EXPECT_EQ(members_per_node(on_nodes({0, 0, 1, 1})), 2);
  EXPECT_EQ(members_per_node(on_nodes({5, 5, 5, 2, 2, 2})), 3);
  EXPECT_EQ(members_per_node(on_nodes({0, 0, 0, 0})), std::nullopt);              // one node
  EXPECT_EQ(members_per_node(on_nodes({0, 1, 2, 3})), std::nullopt);              // one on each
  EXPECT_EQ(members_per_node(on_nodes({0, 1, 0, 1})), std::nullopt);              // no neighbours
  EXPECT_EQ(members_per_node(on_nodes({0, 0, 1, 1, 1})), std::nullopt);           // unequal
  EXPECT_EQ(members_per_node(on_nodes({0, 0, 1, 1, 0, 0, 2, 2})), std::nullopt);  // a node twice
}

TEST(Placement, DataParallelGroupsOverSeveralNodesGoNodeByNode) {
  MeshIndex const index({.tp = 2, .pp = 1, .dp = 4}, "tp,dp,pp");
  auto const locations = on_nodes({0, 0, 0, 0, 1, 1, 1, 1});
  EXPECT_TRUE(planned(index, Axis::dp, locations, true).hierarchical);
  EXPECT_TRUE(planned(index, Axis::dp, locations, true).tree);
  EXPECT_FALSE(planned(index, Axis::tp, locations, true).hierarchical);
  EXPECT_FALSE(planned(index, Axis::dp, locations, false).tree);
}

TEST(Placement, TreesGoNodeByNodeOnlyOverPowersOfTwo) {
  MeshIndex const index({.tp = 1, .pp = 1, .dp = 6}, "tp,dp,pp");
  auto const threes = on_nodes({0, 0, 0, 1, 1, 1});
  EXPECT_TRUE(planned(index, Axis::dp, threes, false).hierarchical);
  EXPECT_FALSE(planned(index, Axis::dp, threes, true).hierarchical);
  EXPECT_TRUE(planned(index, Axis::dp, threes, true).tree);
}

TEST(Placement, SumsInsideANodeAreTreesWherePowersOfTwoAllow) {
  auto const one_node = on_nodes({0, 0, 0, 0, 0, 0});
  EXPECT_TRUE(planned(MeshIndex({.tp = 2, .pp = 1, .dp = 3}, "tp,dp,pp"), Axis::tp, one_node, false).tree);
  EXPECT_FALSE(planned(MeshIndex({.tp = 2, .pp = 1, .dp = 3}, "tp,dp,pp"), Axis::dp, one_node, false).tree);
  auto const split = on_nodes({0, 0, 0, 1, 1, 1});
  EXPECT_FALSE(planned(MeshIndex({.tp = 2, .pp = 1, .dp = 3}, "tp,dp,pp"), Axis::tp, split, false).tree);
}

TEST(Placement, BackendsAreKnownByName) {
  for (auto const backend :
       {AxisBackend::automatic, AxisBackend::mpi, AxisBackend::hierarchical, AxisBackend::nccl}) {
    EXPECT_EQ(axis_backend(to_string(backend)), backend);
  }
  EXPECT_EQ(axis_backend("gloo"), std::nullopt);
}

TEST(Placement, DevicesReachEachOtherInsideNodesAndAcrossOnlyWhenAsked) {
  MeshIndex const index({.tp = 2, .pp = 1, .dp = 2}, "tp,dp,pp");
  auto const locations = on_nodes({0, 0, 1, 1});
  auto const plan = [&](Axis axis, AxisBackend backend) {
    return plan_axis(index, axis, locations, false, {backend, true});
  };
  EXPECT_TRUE(plan(Axis::tp, AxisBackend::automatic).devices);
  EXPECT_FALSE(plan(Axis::tp, AxisBackend::automatic).tree) << "trees are for MPI's sums";
  EXPECT_FALSE(plan(Axis::dp, AxisBackend::automatic).devices);
  EXPECT_TRUE(plan(Axis::dp, AxisBackend::nccl).devices);
  EXPECT_FALSE(plan(Axis::tp, AxisBackend::mpi).devices);
  EXPECT_TRUE(plan(Axis::pp, AxisBackend::automatic).devices) << "one rank: copies on its device";
}

TEST(Placement, PipelinesAreNeverHierarchical) {
  MeshIndex const index({.tp = 1, .pp = 4, .dp = 1}, "tp,dp,pp");
  auto const plan = planned(index, Axis::pp, on_nodes({0, 0, 1, 1}), true);
  EXPECT_FALSE(plan.hierarchical);
  EXPECT_FALSE(plan.tree);
}

}  // namespace
}  // namespace tessera::mesh
