// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A mesh whose ranks have devices: NCCL inside nodes, the communicator it was made from across, and both.
#include "tessera/mesh/mesh.hpp"

#include <random>

#include "nccl/ranks.hpp"

namespace tessera::mesh {
namespace {

using support::run_ranks_well;
namespace cuda = support::cuda_double;

constexpr int ranks = 4;
constexpr int ranks_per_node = 2;

class MeshOnDevices : public ::testing::Test {
 protected:
  void SetUp() override {
    cuda::reset();
    cuda::set_all_memory_on_device(true);
  }

  /// `body(mesh)` on 4 ranks on 2 nodes.
  template <class Body>
  void with_mesh(MeshShape const& shape, MeshOptions const& options, Body const& body) {
    run_ranks_well(ranks, ranks_per_node, [&](comm::Communicator& world) {
      cuda::set_node(world.rank() / ranks_per_node);
      auto const session = backends::nccl::open(world, support::patient);
      comm::Ledger ledger;
      auto own = options;
      own.devices = session.get();
      Mesh mesh(world.duplicate(), shape, own, ledger);
      body(mesh);
    });
  }
};

void expect_sum(comm::Communicator& group, double own, double expected) {
  std::vector<double> values(1000, own);
  comm::all_reduce_in_place(group, values, comm::Op::sum).wait_host();
  EXPECT_EQ(values, std::vector<double>(1000, expected));
}

TEST_F(MeshOnDevices, NcclServesWhatStaysInANodeAndTheParentTheRest) {
  with_mesh({.tp = 2, .dp = 2}, {}, [](Mesh& mesh) {
    EXPECT_EQ(mesh.tp().backend(), "recorded(nccl)");
    EXPECT_EQ(mesh.dp().backend(), "recorded(threads)");
    EXPECT_EQ(mesh.pp().backend(), "recorded(nccl)")
        << "one rank needs no messages, but copies on its device";
    expect_sum(mesh.tp(), mesh.rank(), mesh.coordinates().dp == 0 ? 0 + 1 : 2 + 3);
    expect_sum(mesh.dp(), mesh.rank(), mesh.coordinates().tp == 0 ? 0 + 2 : 1 + 3);
  });
}

TEST_F(MeshOnDevices, GroupsOverNodesAreHierarchicalAndTheMapSaysOfWhat) {
  with_mesh({.dp = 4}, {}, [](Mesh& mesh) {
    EXPECT_EQ(mesh.dp().backend(), "recorded(hierarchical(nccl inside, threads across))");
    EXPECT_NE(mesh.map().find("dp 4: across nodes, recorded(hierarchical(nccl inside, threads across))"),
              std::string::npos)
        << mesh.map();
    expect_sum(mesh.dp(), mesh.rank(), 6);
    expect_sum(mesh.dp_buckets(), mesh.rank(), 6);
  });
}

TEST_F(MeshOnDevices, SumsInTilesAreTreesOverMessagesOfNccl) {
  std::vector<std::vector<float>> sums;
  for (auto const backend : {AxisBackend::automatic, AxisBackend::mpi, AxisBackend::nccl}) {
    with_mesh({.dp = 4}, {.explicit_tiles = true, .dp_backend = backend}, [&](Mesh& mesh) {
      std::mt19937 random(static_cast<unsigned>(mesh.rank()));
      std::uniform_real_distribution<float> between(-1.0f, 1.0f);
      std::vector<float> values(30000);
      for (auto& value : values) value = between(random);
      cuda::reset_calls();
      comm::all_reduce_in_place(mesh.dp(), values, comm::Op::sum).wait_host();
      EXPECT_EQ(cuda::calls().count("ncclAllReduce") + cuda::calls().count("ncclReduceScatter"), 0u);
      EXPECT_EQ(cuda::calls().count("ncclSend"), backend == AxisBackend::mpi ? 0u : 1u);
      if (mesh.rank() == 3) sums.push_back(values);
    });
  }
  ASSERT_EQ(sums.size(), 3u);
  EXPECT_EQ(sums[0], sums[1]);
  EXPECT_EQ(sums[0], sums[2]);
}

TEST_F(MeshOnDevices, PipelinesAndTiedEndsGoAsThePipelineIsAsked) {
  for (auto const backend : {AxisBackend::mpi, AxisBackend::nccl}) {
    with_mesh({.pp = 4}, {.pp_backend = backend}, [&](Mesh& mesh) {
      std::string const name = backend == AxisBackend::mpi ? "recorded(threads)" : "recorded(nccl)";
      EXPECT_EQ(mesh.pp_forward().backend(), name);
      if (mesh.tied() == nullptr) return;
      EXPECT_EQ(mesh.tied()->backend(), name);
      expect_sum(*mesh.tied(), mesh.rank(), 3);
    });
  }
}

TEST_F(MeshOnDevices, TiedEndsAreAddedInATreeWithTiles) {
  with_mesh({.pp = 4}, {.explicit_tiles = true, .pp_backend = AxisBackend::nccl}, [&](Mesh& mesh) {
    if (mesh.tied() == nullptr) return;
    EXPECT_EQ(mesh.tied()->backend(), "recorded(tree(nccl))");
    cuda::reset_calls();
    expect_sum(*mesh.tied(), mesh.rank(), 3);
    EXPECT_EQ(cuda::calls().count("ncclAllReduce"), 0u);
  });
}

TEST_F(MeshOnDevices, WhatIsAskedForAndDoesNotExistIsTold) {
  auto const problems = [](MeshShape const& shape, MeshOptions const& options, bool devices) {
    std::vector<std::string> found;
    run_ranks_well(ranks, ranks_per_node, [&](comm::Communicator& world) {
      cuda::set_node(world.rank() / ranks_per_node);
      auto const session = devices ? backends::nccl::open(world, support::patient) : nullptr;
      comm::Ledger ledger;
      auto own = options;
      own.devices = session.get();
      try {
        Mesh const mesh(world.duplicate(), shape, own, ledger);
      } catch (ConfigError const& error) {
        if (world.rank() == 0) found = error.problems();
      }
    });
    return found;
  };
  auto const both = problems(
      {.tp = 2, .dp = 2}, {.tp_backend = AxisBackend::hierarchical, .dp_backend = AxisBackend::nccl}, false);
  ASSERT_EQ(both.size(), 2u);
  support::expect_words(both[0], {"tp asks for the backend hierarchical", "neighbours on several nodes"});
  support::expect_words(both[1], {"dp asks for the backend nccl", "uses none"});
  EXPECT_EQ(problems({.pp = 4}, {.pp_backend = AxisBackend::hierarchical}, true).size(), 1u);
  EXPECT_TRUE(problems({.dp = 4}, {.dp_backend = AxisBackend::hierarchical}, true).empty());
  EXPECT_TRUE(problems({.dp = 4}, {.dp_backend = AxisBackend::hierarchical}, false).empty());
}

}  // namespace
}  // namespace tessera::mesh
