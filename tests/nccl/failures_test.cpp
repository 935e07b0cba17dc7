// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Ranks that are missing, links that break, watchdogs that give up: everyone gets an error and nobody hangs.
#include "nccl/ranks.hpp"
#include "nccl/stream_of_test.hpp"
#include "tessera/comm/device_work.hpp"

namespace tessera::support {
namespace {

class Failures : public OnNccl {};

TEST_F(Failures, AnOperationThatOneRankNeverCallsEndsWithItsTime) {
  std::atomic<bool> ended{false};
  auto const words = run(2, impatient, [&](auto& world, auto&, auto& group) {
    if (world.rank() == 1) return ended.wait(false);
    DeviceArray<float> const values(100, 1.0f);
    std::string first;
    try {
      comm::all_reduce_in_place(group, values, comm::Op::sum).wait_host();
    } catch (CommError const& error) {
      first = error.what();
    }
    expect_words(first, {"all_reduce of 100 x f32 on rank 0 of 2 (nccl) failed", "within 0.2 s", "missing"});
    EXPECT_TRUE(values.holds(1.0f));
    ended = true;
    ended.notify_all();
    comm::all_reduce_in_place(group, values, comm::Op::sum).wait_host();
  });
  expect_words(words[0], {"all_reduce on rank 0 of 2 (nccl): the communicator has failed before"});
  EXPECT_EQ(words[1], "");
}

TEST_F(Failures, ADroppedRequestIsNotWaitedForForEver) {
  std::atomic<bool> ended{false};
  auto const words = run(2, impatient, [&](auto& world, auto&, auto& group) {
    if (world.rank() == 1) return ended.wait(false);
    DeviceArray<float> const values(100, 1.0f);
    { auto const dropped = comm::receive(group, values, 1); }
    ended = true;
    ended.notify_all();
  });
  EXPECT_EQ(words, std::vector<std::string>(2));
}

TEST_F(Failures, WhatTheLibraryReportsInTheBackgroundIsThrownAndSeenByAWatchdog) {
  std::atomic<bool> ended{false};
  auto const words = run(2, patient, [&](auto& world, auto& session, auto& group) {
    if (world.rank() == 1) {
      ended.wait(false);
      return cuda::break_communicators(1);
    }
    EXPECT_FALSE(session.failure().has_value());
    DeviceArray<float> const values(100, 1.0f);
    auto request = comm::all_reduce_in_place(group, values, comm::Op::sum);
    EXPECT_FALSE(request.test());
    cuda::break_communicators(0);
    std::thread watchdog([&] {
      expect_words(session.failure().value_or(comm::DeviceFailure{}).reason, {"remote process exited"});
    });
    watchdog.join();
    EXPECT_THROW(request.wait_host(), CommError);
    ended = true;
    ended.notify_all();
    (void)request.test();
  });
  expect_words(words[0], {"all_reduce of 100 x f32 on rank 0 of 2 (nccl) failed", "remote process exited"});
  EXPECT_EQ(words[1], "");
}

TEST_F(Failures, AWatchdogEndsWhatIsUnderWay) {
  std::atomic<int> waiting{0};
  auto const words = run(2, patient, [&](auto& world, auto& session, auto& group) {
    DeviceArray<float> const values(10, 1.0f);
    auto request = world.rank() == 0 ? comm::receive(group, values, 1) : comm::receive(group, values, 0);
    std::thread watchdog([&] {
      while (waiting < 2) std::this_thread::yield();
      session.cancel("rank 1 was not heard of for 60 s");
    });
    ++waiting;
    try {
      request.wait_host();
    } catch (...) {
      watchdog.join();
      throw;
    }
    watchdog.join();
  });
  for (auto const& text : words)
    expect_words(text, {"receive of 10 x f32", "rank 1 was not heard of for 60 s"});
}

/// The stream goes on with sums that nobody has finished; who fences does not.
TEST_F(Failures, WhatAStreamComputesBehindAnOperationThatWasCutOffIsNotUsed) {
  std::atomic<bool> ended{false};
  auto const words = run(2, patient, [&](auto& world, auto& session, auto& group) {
    if (world.rank() == 1) {
      ended.wait(false);
      return session.cancel("rank 0 ends the job");
    }
    {
      StreamOfTest stream;
      DeviceArray<float> const values(10, 1.0f), copy(10, 0.0f);
      comm::DeviceWork const work({nullptr, &session});
      EXPECT_NO_THROW(work.fence({}));
      comm::all_reduce_in_place(group, values, comm::Op::sum, stream.ref()).wait(stream.ref());
      stream.copy(values, copy);
      std::thread watchdog([&] { session.cancel("rank 1 was not heard of for 60 s"); });
      stream.synchronise();
      EXPECT_TRUE(copy.holds(1.0f)) << "the sum of one rank";
      EXPECT_THROW(work.fence({}), CommError);
      watchdog.join();
    }
    ended = true;
    ended.notify_all();
    comm::DeviceWork({nullptr, &session}).fence({});
  });
  expect_words(words[0], {"communication between devices has failed", "rank 1 was not heard of for 60 s"});
  EXPECT_EQ(words[1], "");
}

TEST_F(Failures, RanksThatDoNotCallTheSameAreTold) {
  auto const words = run(2, patient, [](auto& world, auto&, auto& group) {
    DeviceArray<float> const values(10, 1.0f);
    (world.rank() == 0 ? comm::all_reduce_in_place(group, values, comm::Op::sum)
                       : comm::broadcast(group, values, 0))
        .wait_host();
  });
  expect_words(words[0], {"all_reduce of 10 x f32", "invalid usage"});
  expect_words(words[1], {"broadcast of 10 x f32", "invalid usage"});
}

TEST_F(Failures, AbortEndsTheJobWithItsCode) {
  auto const thrown = run_ranks(2, 0, [](comm::Communicator& world) {
    auto const group = backends::nccl::open(world, patient)->over(world.duplicate());
    DeviceArray<float> const values(10, 1.0f);
    if (world.rank() == 0) group->abort(76);
    (void)comm::all_reduce_value(*group, 1, comm::Op::sum);
  });
  try {
    std::rethrow_exception(thrown[0]);
  } catch (Aborted const& aborted) {
    EXPECT_EQ(aborted.code, 76);
  }
  EXPECT_THROW(std::rethrow_exception(thrown[1]), CommError);
}

TEST_F(Failures, AnAbortThatHangsDoesNotKeepTheJobFromEnding) {
  cuda::hold_aborts(true);
  auto const thrown = run_ranks(2, 0, [](comm::Communicator& world) {
    auto const session = backends::nccl::open(world, patient);
    auto const group = session->over(world.duplicate());
    if (world.rank() == 0) group->abort(76);
    int value = 0;
    auto request = comm::broadcast(*group, std::span(&value, 1), 0);
    auto const deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    bool told = false;
    try {
      while (std::chrono::steady_clock::now() < deadline) (void)request.test();
    } catch (CommError const&) {
      told = true;
    }
    cuda::hold_aborts(false);
    session->cancel("rank 0 ends the job");
    EXPECT_TRUE(told) << "rank 0 hangs in its library";
  });
  EXPECT_THROW(std::rethrow_exception(thrown[0]), Aborted);
  EXPECT_FALSE(thrown[1]);
}

TEST_F(Failures, AFailureWhileUnwindingDoesNotWaitForTheOthers) {
  auto const before = std::chrono::steady_clock::now();
  auto const words = run(2, patient, [](auto& world, auto&, auto&) {
    if (world.rank() == 0) throw DataError("a damaged file");
    comm::barrier(world);
  });
  EXPECT_EQ(words[0], "a damaged file");
  expect_words(words[1], {"rank 0 has left: a damaged file"});
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(30));
}

}  // namespace
}  // namespace tessera::support
