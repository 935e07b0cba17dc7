// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Who is named, out of what the processes have posted. Processes as a job of 4 would have them: all in a
// group "world"; 0 and 1, 2 and 3 in groups "pp".
#include "train/watchdog/hang_report.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace tessera::train {
namespace {

using comm::Call;
using comm::Operation;
using comm::PostedCall;

PostedCall posted(std::uint32_t channel, Call const& call, std::uint64_t number) {
  PostedCall result{call, number, channel, 68, {}};
  comm::copy_text(result.file, "/somewhere/src/model/block.cpp");
  return result;
}

constexpr Call sum{Operation::all_reduce, DType::f32, comm::Op::sum, -1, 1024};

class HangReport : public ::testing::Test {
 protected:
  HangReport() {
    for (int rank = 0; rank < 4; ++rank) {
      auto& process = processes.emplace_back();
      process.rank = rank;
      process.host = rank < 2 ? "h1" : "h2";
      process.process = 100 + rank;
      process.channels = {{"world", 7, rank, 4, 0, {}, {}},
                          {"pp", 8u + static_cast<unsigned>(rank / 2), rank % 2, 2, 0, {}, {}}};
    }
  }

  void enter(int rank, PostedCall const& call, bool waits) {
    auto& process = processes[static_cast<std::size_t>(rank)];
    auto& channel = process.channels[call.channel];
    if (comm::is_message(call.call.operation)) {
      channel.messages.push_back(call);
    } else {
      channel.calls.push_back(call);
      channel.collectives = call.number;
    }
    process.last = call;
    if (waits) process.waiting = call;
  }

  void wait_for_device(int rank) {
    processes[static_cast<std::size_t>(rank)].waiting = posted(PostedCall::the_device, {}, 0);
  }

  void expect_lines(std::vector<std::string> const& lines) const {
    auto const text = hang_report(processes);
    for (auto const& line : lines) EXPECT_NE(text.find(line), text.npos) << line << "\nis not in\n" << text;
  }

  std::vector<ProcessView> processes;
};

TEST_F(HangReport, AStoppedProcessIsNamedWithWhatItHasNotEntered) {
  for (int const rank : {0, 1, 3}) enter(rank, posted(0, sum, 41), true);
  enter(2, posted(0, sum, 40), false);
  processes[2].state = 'T';
  expect_lines({"rank 2 (host h2, process 102) is stopped",
                "it has not entered all_reduce (sum) 41 on world: 1024 x f32, 4096 bytes, at "
                "src/model/block.cpp:68, in which ranks 0, 1, 3 wait",
                "its last call: all_reduce (sum) 40 on world"});
}

TEST_F(HangReport, AProcessThatComputesIsNamedAndNotThoseThatWaitForItThroughOthers) {
  // 0 waits for 1, which waits for 2 and 3; 3 computes.
  enter(0, posted(1, {Operation::receive, DType::f32, comm::Op::sum, 1, 16}, 5), true);
  for (int const rank : {1, 2}) enter(rank, posted(0, sum, 3), true);
  auto const text = hang_report(processes);
  expect_lines({"rank 3 (host h2, process 103) computes, or hangs outside of communication (state R)",
                "it has made no call yet", "ranks 1, 2 wait in all_reduce (sum) 3 on world",
                "rank 0 waits in receive 5 on pp from its rank 1: 16 x f32, 64 bytes"});
  EXPECT_EQ(text.find("rank 1 ("), text.npos) << text;
}

/// The calls of 0 and 1 stand in the queues of their devices; 2 has stopped one call before, 3 waits in a
/// call.
TEST_F(HangReport, WhoWaitsForItsDeviceWaitsForAllThatItHasCalled) {
  for (std::uint64_t const number : {40, 41, 42}) {
    for (int const rank : {0, 1}) enter(rank, posted(0, sum, number), false);
  }
  for (int const rank : {0, 1}) wait_for_device(rank);
  enter(0, posted(1, {Operation::receive, DType::f32, comm::Op::sum, 1, 16}, 5), false);
  enter(1, posted(1, {Operation::send, DType::f32, comm::Op::sum, 0, 16}, 5), false);
  enter(2, posted(0, sum, 40), false);
  enter(3, posted(0, sum, 41), true);
  processes[2].state = 'T';
  expect_lines({"rank 2 (host h2, process 102) is stopped",
                "it has not entered all_reduce (sum) 41 on world: 1024 x f32, 4096 bytes, at "
                "src/model/block.cpp:68, in which ranks 0, 1, 3 wait; its last call: all_reduce (sum) 40",
                "  rank 0 waits for the device after receive 5 on pp from its rank 1: 16 x f32, 64 bytes",
                "  rank 3 waits in all_reduce (sum) 41 on world"});
}

TEST_F(HangReport, AMessageThatADeviceWaitsForNamesTheOtherSide) {
  enter(2, posted(1, {Operation::receive, DType::f32, comm::Op::sum, 1, 16}, 6), false);
  wait_for_device(2);
  expect_lines({"rank 3 (host h2, process 103) computes",
                "it has not entered the send that rank 2 waits for in receive 6 on pp from its rank 1"});
  enter(3, posted(1, {Operation::send, DType::f32, comm::Op::sum, 0, 16}, 6), false);
  expect_lines({"every rank has made the calls that others wait for", "or a device, does not finish them"});
}

/// Rank 1 hangs in the middle of a step, where it counts as one that waits for its device.
TEST_F(HangReport, OfThoseThatWaitForTheirDevicesTheOneBehindIsNamed) {
  for (int const rank : {0, 1, 2, 3}) enter(rank, posted(0, sum, 41), false);
  for (int const rank : {0, 2, 3}) enter(rank, posted(0, sum, 42), false);
  for (int const rank : {0, 1, 2, 3}) wait_for_device(rank);
  expect_lines({"rank 1 (host h1, process 101) waits for the device after all_reduce (sum) 41 on world",
                "it has not entered all_reduce (sum) 42 on world: 1024 x f32, 4096 bytes, at "
                "src/model/block.cpp:68, in which ranks 0, 2, 3 wait"});
}

TEST_F(HangReport, OtherCallsOfTheSameNumberAreSetSideBySide) {
  for (int const rank : {0, 2, 3}) enter(rank, posted(0, sum, 41), true);
  enter(1, posted(0, {}, 41), true);
  expect_lines({"the ranks of a world group do not make the same call:",
                "rank 1 (host h1, process 101): barrier 41 on world, at",
                "ranks 0, 2, 3: all_reduce (sum) 41"});
}

TEST_F(HangReport, AMessageThatIsNotSentNamesTheSender) {
  enter(2, posted(1, {Operation::receive, DType::f32, comm::Op::sum, 1, 16}, 6), true);
  enter(3, posted(1, {Operation::send, DType::f32, comm::Op::sum, 0, 16}, 5), false);
  expect_lines({"rank 3 (host h2, process 103) computes",
                "it has not entered the send that rank 2 waits for in receive 6 on pp from its rank 1"});
  enter(3, posted(1, {Operation::send, DType::f32, comm::Op::sum, 0, 16}, 6), false);
  expect_lines({"every rank has made the calls that others wait for"});
}

TEST_F(HangReport, TheOneOfACircleThatCallsSomethingElseIsNamedAlone) {
  for (int const rank : {0, 2, 3}) enter(rank, posted(0, sum, 1), true);
  enter(1, posted(1, {}, 1), true);
  auto const text = hang_report(processes);
  EXPECT_TRUE(text.starts_with(
      "  rank 1 (host h1, process 101) made another call than the others: it waits in barrier 1 on pp, at "
      "src/model/block.cpp:68, which rank 0 has not entered; it has not entered all_reduce (sum) 1 on world: "
      "1024 x f32, 4096 bytes, at src/model/block.cpp:68, in which ranks 0, 2, 3 wait\n"))
      << text;
  EXPECT_TRUE(
      text.ends_with("  ranks 0, 2, 3 wait in all_reduce (sum) 1 on world: 1024 x f32, 4096 bytes, "
                     "at src/model/block.cpp:68\n"))
      << text;
  EXPECT_EQ(std::ranges::count(text, '\n'), 2) << text;
}

TEST_F(HangReport, ACircleOfHalvesIsToldOnceForEach) {
  for (int const rank : {0, 1}) enter(rank, posted(0, {}, 1), true);
  for (int const rank : {2, 3}) enter(rank, posted(1, sum, 1), true);
  processes[2].channels[1].group = processes[3].channels[1].group = 8;  // one group of all: pp
  auto const text = hang_report(processes);
  expect_lines({"ranks 0, 1 wait in barrier 1 on world, at src/model/block.cpp:68; it has not entered",
                "ranks 2, 3 wait in all_reduce (sum) 1 on pp"});
  EXPECT_EQ(std::ranges::count(text, '\n'), 2) << text;
}

TEST_F(HangReport, ASilentHostAndAnEarlyEndAreTold) {
  processes[0].state = 'X';
  processes[3].state = '?';
  expect_lines(
      {"rank 0 (host h1, process 100) has ended early", "rank 3 (host h2, process 103) does not answer"});
}

TEST_F(HangReport, AWaitMayEndUnlessItIsOverdueOrAProcessIsStopped) {
  EXPECT_EQ(time_outs_of_hang(processes), 0);
  processes[1].time_outs = 3;
  EXPECT_EQ(time_outs_of_hang(processes), 0);
  processes[2].state = 'T';
  EXPECT_EQ(time_outs_of_hang(processes), 3);
  processes[2].left = true;
  EXPECT_EQ(time_outs_of_hang(processes), 0);
  processes[1].overdue = true;
  EXPECT_EQ(time_outs_of_hang(processes), 3);
}

TEST_F(HangReport, ARecordReadsAsItWasWritten) {
  auto const record = std::make_unique<comm::ProcessRecord>();
  record->rank = 5;
  record->process = 17;
  record->host = {"h9"};
  record->channels_used = 1;
  auto& channel = record->channels[0];
  channel.name = {"tp"};
  channel.collectives = 2;
  channel.last_collectives[2].write(posted(0, sum, 2));
  record->waiting.write(posted(0, sum, 2));
  record->waits = 3;
  record->late = 3;
  record->time_outs = 1;
  auto const view = view_of(*record, 'S');
  EXPECT_EQ(view.host, "h9");
  EXPECT_TRUE(view.overdue);
  ASSERT_TRUE(view.waiting.has_value());
  EXPECT_EQ(*view.waiting, posted(0, sum, 2));
  EXPECT_EQ(view.channels.at(0).calls, std::vector{posted(0, sum, 2)});
  record->waits = 4;
  EXPECT_FALSE(view_of(*record, 'S').waiting.has_value());
  EXPECT_FALSE(view_of(*record, 'S').overdue);
}

}  // namespace
}  // namespace tessera::train
