// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/signals.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

namespace tessera::train {
namespace {

TEST(SignalWatch, RemembersTheFirstSignalThatCame) {
  SignalWatch const watch;
  EXPECT_EQ(watch.first(), 0);
  std::raise(SIGTERM);
  std::raise(SIGUSR1);
  EXPECT_EQ(watch.first(), SIGTERM);
}

TEST(SignalWatch, TakesARequestThatComesTwiceAtOnceForOne) {
  SignalWatch const watch;
  for (int i = 0; i < 3; ++i) std::raise(SIGUSR1);
  EXPECT_EQ(watch.first(), SIGUSR1);
}

TEST(SignalWatch, RemembersOneThatWasHeldBackUntilItCame) {
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  std::raise(SIGUSR1);
  SignalWatch const watch;
  EXPECT_EQ(watch.first(), SIGUSR1);
}

TEST(SignalWatch, ForgetsWhenItGoes) {
  {
    SignalWatch const watch;
    std::raise(SIGUSR1);
  }
  SignalWatch const next;
  EXPECT_EQ(next.first(), 0);
}

void raise_again_after_a_second(int first, int second) {
  SignalWatch const watch;
  std::raise(first);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  std::raise(second);
  std::_Exit(0);
}

TEST(SignalWatchDeathTest, TheSameSignalLaterEndsTheProcess) {
  EXPECT_EXIT(raise_again_after_a_second(SIGUSR1, SIGUSR1), ::testing::KilledBySignal(SIGUSR1), "");
  EXPECT_EXIT(raise_again_after_a_second(SIGTERM, SIGTERM), ::testing::KilledBySignal(SIGTERM), "");
}

TEST(SignalWatchDeathTest, AnotherSignalLetsTheSaveGoOn) {
  EXPECT_EXIT(raise_again_after_a_second(SIGUSR1, SIGTERM), ::testing::ExitedWithCode(0), "");
}

TEST(SignalWatchDeathTest, WithoutOneASignalEndsTheProcess) {
  { SignalWatch const watch; }
  EXPECT_EXIT(std::raise(SIGUSR1), ::testing::KilledBySignal(SIGUSR1), "");
}

}  // namespace
}  // namespace tessera::train
