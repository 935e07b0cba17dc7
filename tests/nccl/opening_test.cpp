// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Devices are found and checked, and a communicator that does not come about is an error on every rank.
#include "nccl/ranks.hpp"

namespace tessera::support {
namespace {

class Opening : public OnNccl {};

TEST_F(Opening, EachRankTakesTheDeviceOfItsPlaceInItsNode) {
  auto const thrown = words_of(run_ranks(4, 2, [](comm::Communicator& world) {
    cuda::set_node(world.rank() / 2);
    auto const session = backends::nccl::open(world, patient);
    EXPECT_EQ(session->device(), world.rank() % 2 == 0 ? "GPU 0 (0000:17:00.0)" : "GPU 1 (0000:18:00.0)");
    auto const group = session->over(world.duplicate());
    EXPECT_EQ(group->backend(), "nccl");
    DeviceArray<std::int64_t> const ranks(3, world.rank());
    comm::all_reduce_in_place(*group, ranks, comm::Op::sum).wait_host();
    EXPECT_TRUE(ranks.holds(6));
  }));
  EXPECT_EQ(thrown, std::vector<std::string>(4));
}

TEST_F(Opening, TwoRanksOnOneDeviceAreToldOnAllRanks) {
  cuda::set_device_count(1);
  for (auto const& words : run(2, patient, [](auto&, auto&, auto&) {})) {
    expect_words(words, {"ranks 0 and 1 of one node have the same GPU 0000:17:00.0", "--gpus-per-task"});
  }
}

TEST_F(Opening, RanksWithTheSameVisibleDeviceOfSeveralAreTold) {
  cuda::set_one_address(true);
  for (auto const& words : run(3, patient, [](auto&, auto&, auto&) {})) {
    expect_words(words, {"have the same GPU"});
  }
}

TEST_F(Opening, AMachineWithoutDevicesIsTold) {
  cuda::set_device_count(0);
  auto const thrown =
      run_ranks(2, 0, [](comm::Communicator& world) { (void)backends::nccl::open(world, patient); });
  for (auto const& error : thrown) EXPECT_THROW(std::rethrow_exception(error), DeviceError);
  expect_words(words_of(thrown)[0], {"cudaGetDeviceCount failed", "no CUDA-capable device"});
}

TEST_F(Opening, RanksThatNeverMeetAreNotWaitedForForEver) {
  comm::DeviceLimits const limits{std::chrono::milliseconds(200), std::chrono::seconds(60)};
  cuda::hold_openings(1);
  for (auto const& words : run(2, limits, [](auto&, auto&, auto&) { FAIL() << "opened"; })) {
    expect_words(words, {"ncclCommInitRankConfig has not met all 2 ranks within 0.2 s", "NCCL_DEBUG=INFO"});
  }
}

TEST_F(Opening, OneRankThatCannotOpenIsNamedByTheOthers) {
  auto const words = words_of(run_ranks(3, 0, [](comm::Communicator& world) {
    auto const session =
        backends::nccl::open(world, {std::chrono::milliseconds(200), std::chrono::seconds(60)});
    if (world.rank() == 2) cuda::fail_call("cudaMalloc", 1);
    (void)session->over(world.duplicate());
  }));
  EXPECT_EQ(words[0], "rank 2 of 3 failed: cudaMalloc failed: out of memory");
  EXPECT_EQ(words[1], words[0]);
  EXPECT_EQ(words[2], "cudaMalloc failed: out of memory");
}

TEST_F(Opening, CommunicatorsMayOutliveTheSession) {
  run_ranks_well(2, 0, [](comm::Communicator& world) {
    auto const group = backends::nccl::open(world, patient)->over(world.duplicate());
    DeviceArray<float> const values(10, 1.0f);
    comm::all_reduce_in_place(*group, values, comm::Op::sum).wait_host();
    EXPECT_TRUE(values.holds(2.0f));
  });
}

TEST_F(Opening, TheLibraryTellsItsVersionWithoutASession) {
  EXPECT_EQ(backends::nccl::library_version(), "NCCL: 2.28.3");
  cuda::fail_call("ncclGetVersion", 1);
  EXPECT_EQ(backends::nccl::library_version(), "NCCL: of unknown version");
}

TEST_F(Opening, AnUnknownBackendIsToldWithThoseThereAre) {
  run_ranks_well(1, 0, [](comm::Communicator& world) {
    comm::DeviceCommunicatorBackend const table[] = {{"nccl", &backends::nccl::open}};
    EXPECT_NE(comm::open_device_session(table, "nccl", world), nullptr);
    try {
      (void)comm::open_device_session(table, "ncll", world);
      ADD_FAILURE() << "opened";
    } catch (ConfigError const& error) {
      expect_words(error.what(), {"'ncll'", "it has: nccl"});
    }
    EXPECT_THROW((void)comm::open_device_session({}, "nccl", world), ConfigError);
  });
}

}  // namespace
}  // namespace tessera::support
