// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "train/watchdog/side_channel.hpp"

#include <gtest/gtest.h>

#include <array>

#include "support/parallel.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::train {
namespace {

using namespace std::chrono_literals;
using support::world;

class Asking : public ::testing::Test {
 protected:
  std::optional<std::string> ask(int rank, std::chrono::milliseconds time) {
    return channel_.ask(std::span(&rank, 1), Question::board, time, answer_).front();
  }
  void serve_for(std::chrono::milliseconds time) {
    auto const end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) {
      std::vector<pollfd> wishes;
      channel_.add_wishes(wishes);
      if (poll(wishes.data(), wishes.size(), 10) > 0) channel_.serve(wishes, answer_);
    }
  }

  SideChannel channel_{world()};
  // More than a socket takes at once.
  SideChannel::Answer answer_ = [](Question) {
    return std::string(10'000'000, static_cast<char>('0' + world().rank()));
  };
};

TEST_F(Asking, RanksThatAskEachOtherAnswerEachOther) {
  int const other = 1 - world().rank();
  for (int round = 0; round < 20 && other >= 0; ++round) {
    barrier(world());
    auto const answer = ask(other, 10s);
    serve_for(50ms);  // the other may be later
    ASSERT_TRUE(answer.has_value()) << "round " << round;
    ASSERT_EQ(answer->size(), 10'000'000U);
    ASSERT_EQ(answer->front(), '0' + other);
  }
  for (int round = 0; round < 20 && other < 0; ++round) barrier(world());
  barrier(world());
}

TEST_F(Asking, OneThatWaitsForASilentRankAnswersOthers) {
  barrier(world());
  if (world().rank() == 0) {
    EXPECT_FALSE(ask(2, 4s).has_value());
  } else if (world().rank() == 1) {
    EXPECT_TRUE(ask(0, 3s).has_value());
  }
  barrier(world());
}

}  // namespace
}  // namespace tessera::train
