// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A communicator between devices that its library gives up ends the job, with words that name it.
#include "tessera/train/watchdog.hpp"

#include "nccl/ranks.hpp"
#include "nccl/stream_of_test.hpp"
#include "tessera/comm/device_work.hpp"
#include "tessera/mesh/mesh.hpp"

namespace tessera::train {
namespace {

namespace cuda = support::cuda_double;

/// Two ranks sum along tp; then the network of rank 1 breaks while both are in the next sum. Ends the
/// process.
void break_a_communicator() {
  cuda::set_all_memory_on_device(true);
  support::run_ranks_well(2, 0, [](comm::Communicator& world) {
    Watchdog watchdog(world, {.timeout_s = 600, .program = "test"});
    std::shared_ptr<comm::DeviceSession> const session = backends::nccl::open(world, support::patient);
    watchdog.look_after(session);
    comm::Ledger ledger;
    mesh::MeshOptions options;
    options.devices = session.get();
    options.decorate = [&](std::unique_ptr<comm::Communicator> part, std::string_view name, int) {
      return watchdog.watched(std::move(part), name);
    };
    mesh::Mesh const mesh(world.duplicate(), {.tp = 2}, options, ledger);
    std::vector<float> values(100, 1.0f);
    comm::all_reduce_in_place(mesh.tp(), values, comm::Op::sum).wait_host();
    if (world.rank() == 1) {
      cuda::break_communicators(1);
      // As a program does that waits for its device: nobody but the watchdog looks at the library.
      std::this_thread::sleep_for(std::chrono::seconds(60));
    }
    comm::all_reduce_in_place(mesh.tp(), values, comm::Op::sum).wait_host();
  });
}

TEST(WatchdogOverDevices, AFailedCommunicatorIsNamedAndTheJobEnds) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(break_a_communicator(), ::testing::ExitedWithCode(76),
              "test: error: watchdog: communication between devices has failed; it ends with code 76:\n"
              "  rank 1 .host [^,]+, process [0-9]+.: the library for devices gives up tp: .*remote process "
              "exited.*; "
              "its last call there: all_reduce .sum. 1 on tp: 100 x f32, 400 bytes, at "
              "tests/nccl/watchdog_test.cpp:[0-9]+\n"
              "  rank 0 waits in all_reduce .sum. 2 on tp: 100 x f32, 400 bytes, at ");
}

/// A rank that has thrown because of it does not leave before the report.
TEST(WatchdogOverDevices, WhoMeetsTheFailureWaitsForTheReport) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto const meet = [] {
    cuda::set_all_memory_on_device(true);
    support::run_ranks_well(2, 0, [](comm::Communicator& world) {
      Watchdog watchdog(world, {.timeout_s = 600, .program = "test"});
      std::shared_ptr<comm::DeviceSession> const session = backends::nccl::open(world, support::patient);
      auto const group = session->over(world.duplicate(), "dp");
      watchdog.end_if_devices_failed();  // nobody is looked after: returns
      watchdog.look_after(session);
      watchdog.end_if_devices_failed();  // all is well: returns
      cuda::break_communicators(world.rank());
      std::vector<float> values(100, 1.0f);
      try {
        comm::all_reduce_in_place(*group, values, comm::Op::sum).wait_host();
      } catch (CommError const&) {
        watchdog.end_if_devices_failed();
        std::_Exit(1);
      }
    });
  };
  EXPECT_EXIT(meet(), ::testing::ExitedWithCode(76), "rank [01] .*gives up dp: .*; it has made no call yet");
}

/// Two ranks sum along dp in their streams, 1 once less often: its host is busy elsewhere. Nobody waits in a
/// call, no library reports anything, and rank 0 stands at its fence.
void leave_one_out() {
  cuda::set_all_memory_on_device(true);
  support::run_ranks_well(2, 0, [](comm::Communicator& world) {
    Watchdog watchdog(world, {.timeout_s = 1, .program = "test"});
    std::shared_ptr<comm::DeviceSession> const session = backends::nccl::open(world, support::patient);
    watchdog.look_after(session);
    auto const group = watchdog.watched(session->over(world.duplicate(), "dp"), "dp");
    support::StreamOfTest stream;
    std::vector<float> values(100, 1.0f);
    comm::DeviceWork const work({&watchdog.record(), session.get()});
    for (int i = 0; i < 2; ++i) {
      if (world.rank() == 1 && i == 1) std::this_thread::sleep_for(std::chrono::seconds(60));
      comm::all_reduce_in_place(*group, values, comm::Op::sum, stream.ref()).wait(stream.ref());
    }
    stream.synchronise();
  });
}

TEST(WatchdogOverDevices, ARankThatOthersWaitForInTheirStreamsIsNamed) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto const before = std::chrono::steady_clock::now();
  EXPECT_EXIT(leave_one_out(), ::testing::ExitedWithCode(76),
              "test: error: watchdog: the job has not moved for 1 s; it ends with code 76:\n"
              "  rank 1 .host [^,]+, process [0-9]+. waits for the device after all_reduce .sum. 1 on dp: "
              "100 x f32, 400 bytes, at tests/nccl/watchdog_test.cpp:[0-9]+; it has not entered "
              "all_reduce .sum. 2 on dp: [^;]+, in which rank 0 waits\n"
              "  rank 0 waits for the device after all_reduce .sum. 2 on dp: ");
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(1 + 5));
}

}  // namespace
}  // namespace tessera::train
