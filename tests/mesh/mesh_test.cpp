// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/mesh/mesh.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "support/parallel.hpp"
#include "tessera/base/error.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::mesh {
namespace {

using comm::all_gather_values;
using comm::Communicator;

/// The mesh ranks in a communicator of `mesh`, in its order. Collective over that communicator.
std::vector<int> members(Mesh const& mesh, Communicator& group) {
  return all_gather_values(group, mesh.rank());
}

void expect_axes_match_the_index(Mesh& mesh) {
  EXPECT_EQ(mesh.world().rank(), mesh.rank());
  EXPECT_EQ(members(mesh, mesh.tp()), mesh.index().group(Axis::tp, mesh.rank()));
  EXPECT_EQ(members(mesh, mesh.dp()), mesh.index().group(Axis::dp, mesh.rank()));
  EXPECT_EQ(members(mesh, mesh.dp_buckets()), mesh.index().group(Axis::dp, mesh.rank()));
  EXPECT_EQ(members(mesh, mesh.pp()), mesh.index().group(Axis::pp, mesh.rank()));
  EXPECT_EQ(members(mesh, mesh.pp_forward()), mesh.index().group(Axis::pp, mesh.rank()));
  EXPECT_EQ(members(mesh, mesh.pp_backward()), mesh.index().group(Axis::pp, mesh.rank()));
  auto const pipeline = mesh.index().group(Axis::pp, mesh.rank());
  bool const tied =
      mesh.shape().pp > 1 && (mesh.rank() == pipeline.front() || mesh.rank() == pipeline.back());
  ASSERT_EQ(mesh.tied() != nullptr, tied);
  if (tied) {
    EXPECT_EQ(members(mesh, *mesh.tied()), (std::vector{pipeline.front(), pipeline.back()}));
  }
  for (int const rank : members(mesh, mesh.model())) {
    EXPECT_EQ(mesh.index().coordinates(rank).dp, mesh.coordinates().dp);
  }
  EXPECT_EQ(mesh.model().size(), mesh.shape().tp * mesh.shape().pp);
}

/// Runs `body` on a mesh over the first `shape.size()` ranks.
template <class Body>
void with_mesh(MeshShape const& shape, MeshOptions const& options, Body const& body) {
  if (shape.size() > support::world().size()) return;
  comm::Ledger ledger;
  auto group = support::group_of(shape.size());
  if (!group) return;
  Mesh mesh(std::move(group), shape, options, ledger);
  body(mesh, ledger);
}

TEST(Mesh, EveryCommunicatorHoldsItsRanksInOrderForEveryShape) {
  for (auto const& shape :
       {MeshShape{}, MeshShape{.tp = 2}, MeshShape{.pp = 2}, MeshShape{.dp = 2}, MeshShape{.tp = 3},
        MeshShape{.pp = 3}, MeshShape{.dp = 3}, MeshShape{.tp = 2, .pp = 2},
        MeshShape{.tp = 2, .pp = 2, .dp = 2}, MeshShape{.pp = 4, .dp = 2}, MeshShape{.tp = 8}}) {
    for (char const* order : {"tp,dp,pp", "pp,dp,tp"}) {
      with_mesh(shape, {.order = order, .allow_split_tp = true},
                [](Mesh& mesh, comm::Ledger&) { expect_axes_match_the_index(mesh); });
    }
  }
}

TEST(Mesh, ALauncherThatDealsRanksOutInTurnIsPutRight) {
  MeshOptions const options{.locations = {{0}, {1}, {0}, {1}, {0}, {1}, {0}, {1}}};
  with_mesh({.tp = 2, .pp = 2, .dp = 2}, options, [](Mesh& mesh, comm::Ledger&) {
    expect_axes_match_the_index(mesh);
    EXPECT_EQ(mesh.plan(Axis::tp).level, Level::node);
    int const launched = support::world().rank() % 8;
    EXPECT_EQ(mesh.rank() / 4, launched % 2) << "the lower mesh ranks live on node 0";
  });
}

TEST(Mesh, SumsOverSimulatedNodesAreThoseOfOneNode) {
  for (bool const tiles : {false, true}) {
    for (int const ranks_per_node : {8, 2, 4}) {
      MeshOptions const options{.ranks_per_node = ranks_per_node, .explicit_tiles = tiles};
      with_mesh({.tp = 2, .dp = 4}, options, [&](Mesh& mesh, comm::Ledger&) {
        EXPECT_EQ(mesh.plan(Axis::dp).hierarchical, ranks_per_node == 4);
        std::vector<double> values(1000, mesh.rank() + 1.0);
        comm::all_reduce_in_place(mesh.dp(), values, comm::Op::sum).wait_host();
        double const expected = mesh.coordinates().tp == 0 ? 1 + 3 + 5 + 7 : 2 + 4 + 6 + 8;
        EXPECT_EQ(values, std::vector<double>(1000, expected));
      });
    }
  }
}

TEST(Mesh, TheLedgerKnowsTheAxes) {
  with_mesh({.tp = 2}, {.allow_split_tp = true}, [](Mesh& mesh, comm::Ledger& ledger) {
    ledger.reset();
    std::vector<float> values(100);
    comm::all_reduce_in_place(mesh.tp(), values, comm::Op::sum).wait_host();
    comm::all_reduce_in_place(mesh.dp(), values, comm::Op::sum).wait_host();
    EXPECT_EQ(ledger.totals("tp")[comm::Operation::all_reduce].calls, 1u);
    EXPECT_EQ(ledger.totals("tp")[comm::Operation::all_reduce].bytes, 400u);
    EXPECT_EQ(ledger.totals("dp").sum().calls, 0u) << "a group of one rank sends nothing";
  });
}

TEST(Mesh, TheMapNamesNodesRanksAndChoices) {
  MeshOptions const options{.ranks_per_node = 4, .explicit_tiles = true};
  with_mesh({.tp = 2, .dp = 4}, options, [](Mesh& mesh, comm::Ledger&) {
    auto const map = mesh.map();
    for (char const* part :
         {"8 ranks = tp 2 x pp 1 x dp 4 on 2 nodes", "node 1:  4 (pp0 dp2 tp0)  5 (pp0 dp2 tp1)",
          "tp 2: inside a node, recorded(tree(mpi))", "dp 4: across nodes, recorded(hierarchical("}) {
      EXPECT_NE(map.find(part), std::string::npos) << part << " is missing in\n" << map;
    }
  });
}

TEST(Mesh, AnAxisGetsTheBackendAskedForOrSaysWhyNot) {
  MeshOptions const options{.ranks_per_node = 4, .dp_backend = AxisBackend::mpi};
  with_mesh({.tp = 2, .dp = 4}, options, [](Mesh& mesh, comm::Ledger&) {
    EXPECT_EQ(mesh.dp().backend(), "recorded(mpi)");
    EXPECT_NE(mesh.map().find("dp 4: across nodes, recorded(mpi) (as asked for)"), std::string::npos);
  });
  MeshOptions const one_node{.ranks_per_node = 8, .tp_backend = AxisBackend::hierarchical};
  if (support::world().size() == 8) {
    EXPECT_THROW(with_mesh({.tp = 8}, one_node, [](Mesh&, comm::Ledger&) {}), ConfigError);
  }
}

std::vector<std::string> problems(MeshShape const& shape, MeshOptions const& options) {
  comm::Ledger ledger;
  try {
    Mesh const mesh(support::world().duplicate(), shape, options, ledger);
  } catch (ConfigError const& error) {
    return error.problems();
  }
  return {};
}

TEST(Mesh, AShapeThatIsNotTheJobsIsRefusedWithAllProblemsAtOnce) {
  int const ranks = support::world().size();
  EXPECT_EQ(problems({.dp = ranks + 1}, {}).size(), 1u);
  EXPECT_EQ(problems({.tp = 0, .pp = -1}, {.order = "tp,dp"}).size(), 3u);
  EXPECT_EQ(problems({.tp = 3, .dp = 6}, {.explicit_tiles = true}).size(), 3u);
  EXPECT_EQ(problems({.dp = ranks}, {.ranks_per_node = -1}).size(), 1u);
}

TEST(Mesh, ATensorParallelGroupAcrossNodesNeedsPermission) {
  int const ranks = support::world().size();
  if (ranks < 2) GTEST_SKIP() << "needs two ranks";
  EXPECT_EQ(problems({.tp = ranks}, {.ranks_per_node = 1}).size(), 1u);
  EXPECT_TRUE(problems({.tp = ranks}, {.ranks_per_node = 1, .allow_split_tp = true}).empty());
}

}  // namespace
}  // namespace tessera::mesh
