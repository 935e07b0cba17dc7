// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/watched.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/parallel.hpp"
#include "tessera/comm/call_text.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/comm/device_work.hpp"

namespace tessera::comm {
namespace {

PostedCall last_of(ProcessRecord const& record) {
  PostedCall call;
  EXPECT_TRUE(record.last.read(call));
  return call;
}

TEST(Watched, CallsArePostedWithTheirPlaceAndNumber) {
  support::for_each_group({2, 3}, [](Communicator& group) {
    auto const record = std::make_unique<ProcessRecord>();
    auto const comm = make_watched(group.duplicate(), *record, "tp");
    std::vector<double> values(7);
    barrier(*comm);
    all_reduce_in_place(*comm, values, Op::max).wait_host();
    auto const line = __LINE__ - 1;
    auto const posted = last_of(*record);
    EXPECT_EQ(posted.call, (Call{Operation::all_reduce, DType::f64, Op::max, -1, 7}));
    EXPECT_EQ(posted.number, 2u);
    EXPECT_EQ(call_text(posted, "tp", comm->size()),
              "all_reduce (max) 2 on tp: 7 x f64, 56 bytes, at tests/comm/watched_test.cpp:" +
                  std::to_string(line));
    EXPECT_EQ(record->waits % 2, 0u);
    EXPECT_EQ(record->channels_used, 1u);
    EXPECT_EQ(record->channels[0].group, broadcast_value(*comm, record->channels[0].group, 0));
  });
}

TEST(Watched, MessagesAreCountedByPeer) {
  support::for_each_group({2}, [](Communicator& group) {
    auto const record = std::make_unique<ProcessRecord>();
    auto const comm = make_watched(group.duplicate(), *record, "pp");
    int value = 1;
    for (int i = 0; i < 3; ++i) {
      if (group.rank() == 0) {
        send(*comm, std::span(&value, 1), 1).wait_host();
      } else {
        receive(*comm, std::span(&value, 1), 0).wait_host();
      }
    }
    EXPECT_EQ(last_of(*record).number, 3u);
    EXPECT_EQ(last_of(*record).call.peer, 1 - group.rank());
    EXPECT_EQ(record->channels[0].messages, 3u);
    EXPECT_EQ(record->channels[0].collectives, 0u);
  });
}

TEST(Watched, AWaitIsSeenFromOutside) {
  support::for_each_group({2}, [](Communicator& group) {
    auto const record = std::make_unique<ProcessRecord>();
    auto const comm = make_watched(group.duplicate(), *record, "dp");
    if (group.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(500));
    std::atomic<bool> seen = false, done = false;
    std::thread other([&] {
      while (record->waits % 2 == 0 && !done) std::this_thread::yield();
      PostedCall call;
      seen = record->waiting.read(call) && call.call.operation == Operation::barrier && call.number == 1;
    });
    barrier(*comm);
    done = true;
    other.join();
    EXPECT_TRUE(seen || group.rank() != 0);
    EXPECT_EQ(record->waits % 2, 0u);
  });
}

TEST(Watched, BetweenItsCallsAProcessWaitsForItsDevice) {
  support::for_each_group({2}, [](Communicator& group) {
    auto const record = std::make_unique<ProcessRecord>();
    auto const comm = make_watched(group.duplicate(), *record, "dp");
    auto const waits_for_device = [&] {
      PostedCall call;
      return record->waits % 2 == 1 && record->waiting.read(call) && call.channel == PostedCall::the_device;
    };
    {
      DeviceWork const work({.record = record.get()});
      EXPECT_TRUE(waits_for_device());
      auto const before = record->waits.load();
      barrier(*comm);
      EXPECT_TRUE(waits_for_device());
      EXPECT_GT(record->waits, before) << "who makes calls moves";
      work.fence({});
      EXPECT_TRUE(waits_for_device());
    }
    EXPECT_EQ(record->waits % 2, 0u);
    DeviceWork const nobody_watches({});
    nobody_watches.fence({});
    EXPECT_EQ(record->waits % 2, 0u);
  });
}

TEST(Watched, WhatHasNoRoomIsGivenBackAsItCame) {
  support::for_each_group({2}, [](Communicator& group) {
    auto const record = std::make_unique<ProcessRecord>();
    std::vector<std::unique_ptr<Communicator>> all;
    for (std::size_t i = 0; i <= ProcessRecord::most_channels; ++i)
      all.push_back(make_watched(group.duplicate(), *record, "tp"));
    EXPECT_EQ(all.front()->backend(), "watched(mpi)");
    EXPECT_EQ(all.back()->backend(), "mpi");
    barrier(*all.back());
  });
}

}  // namespace
}  // namespace tessera::comm
