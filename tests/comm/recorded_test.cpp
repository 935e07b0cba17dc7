// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/recorded.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "support/parallel.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::comm {
namespace {

TEST(Recorded, CallsAndBytesFollowTheConvention) {
  support::for_each_group({2, 3, 4}, [](Communicator& group) {
    Ledger ledger;
    auto const comm = make_recorded(group.duplicate(), ledger, "tp");
    auto const n = static_cast<std::size_t>(comm->size());
    std::vector<double> small(10);
    std::vector<double> large(10 * n);
    all_reduce_in_place(*comm, small, Op::sum).wait_host();
    broadcast(*comm, small, 0).wait_host();
    broadcast(*comm, small, 1).wait_host();
    all_gather(*comm, small, large).wait_host();
    reduce_scatter(*comm, large, small, Op::sum).wait_host();
    barrier(*comm);
    auto const totals = ledger.totals("tp");
    EXPECT_EQ(totals[Operation::all_reduce].bytes, 80u);
    EXPECT_EQ(totals[Operation::broadcast].calls, 2u);
    EXPECT_EQ(totals[Operation::broadcast].bytes, 160u);
    EXPECT_EQ(totals[Operation::all_gather].bytes, 80u * n);
    EXPECT_EQ(totals[Operation::reduce_scatter].bytes, 80u * n);
    EXPECT_EQ(totals[Operation::barrier].calls, 1u);
    EXPECT_EQ(totals[Operation::barrier].bytes, 0u);
    EXPECT_EQ(totals.sum().calls, 6u);
    EXPECT_EQ(ledger.sum().bytes, totals.sum().bytes);
    EXPECT_EQ(ledger.axes(), std::vector<std::string>{"tp"});
  });
}

TEST(Recorded, WaitingIsExposedAndOverlappedTimeIsNot) {
  support::for_each_group({2}, [](Communicator& group) {
    static constexpr double late_s = 0.1;
    Ledger ledger;
    auto const comm = make_recorded(group.duplicate(), ledger, "dp");
    auto const pause = [] { std::this_thread::sleep_for(std::chrono::duration<double>(late_s)); };
    if (comm->rank() == 1) pause();
    barrier(*comm);
    auto const waited = ledger.totals("dp").sum();
    if (comm->rank() == 0) {
      EXPECT_GT(waited.exposed_s, 0.9 * late_s);
    }
    EXPECT_LE(waited.exposed_s, waited.in_flight_s);

    ledger.reset();
    std::int32_t value = comm->rank();
    auto sum = all_reduce_in_place(*comm, std::span(&value, 1), Op::sum);
    pause();
    while (!sum.test()) std::this_thread::yield();
    EXPECT_EQ(ledger.totals("dp").sum().exposed_s, 0.0);
    EXPECT_GT(ledger.totals("dp").sum().in_flight_s, 0.9 * late_s);
    EXPECT_EQ(value, 1);
  });
}

TEST(Recorded, PartsRecordUnderTheSameAxis) {
  support::for_each_group({4}, [](Communicator& group) {
    Ledger ledger;
    auto const comm = make_recorded(group.duplicate(), ledger, "tp");
    auto const part = comm->split(comm->rank() % 2, comm->rank());
    barrier(*part);
    EXPECT_EQ(ledger.totals("tp")[Operation::barrier].calls, 1u);
    EXPECT_EQ(ledger.totals("nothing").sum().calls, 0u);
  });
}

}  // namespace
}  // namespace tessera::comm
