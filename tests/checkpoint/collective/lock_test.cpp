// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <thread>

#include "checkpoint/directory_lock.hpp"
#include "run.hpp"
#include "tessera/base/log.hpp"

namespace tessera::checkpoint {

namespace {

using namespace std::chrono_literals;
using test::expect_failure;
using test::TemporaryFolder;

constexpr LockTiming quick{.patience = 50ms, .own_patience = 50ms, .beat = 20ms, .stale = 300ms};

/// A lock that names an owner which does not hold it.
void leave_behind(TemporaryFolder const& folder, std::string const& text) {
  test::write_bytes(folder.path("lock"), text);
}

Owner owner(std::string host, std::string job, std::int64_t restart) {
  Owner owner = Owner::self();
  owner.host = std::move(host);
  owner.job = std::move(job);
  owner.restart = restart;
  return owner;
}

double seconds(std::function<void()> const& action) {
  auto const start = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST(Lock, NamesItsOwnerWhileItIsHeld) {
  TemporaryFolder const folder;
  {
    DirectoryLock const lock(folder.path(), owner("here", "4711", 2), quick);
    auto const text = test::read_bytes(folder.path("lock"));
    EXPECT_EQ(text.find("host here\nprocess "), 0u) << text;
    EXPECT_NE(text.find("\njob 4711\nrestart 2\nstart 2"), std::string::npos) << text;
  }
  EXPECT_EQ(test::read_bytes(folder.path("lock")), "");
}

TEST(Lock, ASecondOwnerIsRefusedWhateverItIs) {
  TemporaryFolder const folder;
  DirectoryLock const lock(folder.path(), owner("here", "4711", 0), quick);
  for (auto const& other : {owner("here", "", 0), owner("there", "12", 0), owner("here", "4711", 1)}) {
    expect_failure(ExitCode::cannot_create, {"job 4711 (process", "on here, since 2"},
                   [&] { DirectoryLock(folder.path(), other, quick); });
  }
}

TEST(Lock, OneThatIsGivenBackSoonIsWaitedFor) {
  TemporaryFolder const folder;
  auto first = std::make_unique<DirectoryLock>(folder.path(), owner("here", "", 0), quick);
  std::thread ending([&] {
    std::this_thread::sleep_for(100ms);
    first.reset();
  });
  EXPECT_NO_THROW(DirectoryLock(folder.path(), owner("here", "", 0), {.patience = 5s}));
  ending.join();
}

TEST(Lock, OneThatAnEarlierStartOfTheJobHoldsIsWaitedForLonger) {
  TemporaryFolder const folder;
  auto lost = std::make_unique<DirectoryLock>(folder.path(), owner("there", "3", 0), quick);
  LockTiming const timing{.patience = 10ms, .own_patience = 30s};
  expect_failure(ExitCode::cannot_create, {"job 3"},
                 [&] { DirectoryLock(folder.path(), owner("here", "4", 1), timing); });
  std::thread giving_up([&] {
    std::this_thread::sleep_for(200ms);
    lost.reset();
  });
  EXPECT_NO_THROW(DirectoryLock(folder.path(), owner("here", "3", 1), timing));
  giving_up.join();
}

TEST(Lock, OfADeadProcessOfThisHostIsTakenAtOnce) {
  TemporaryFolder const folder;
  leave_behind(folder, "host here\nprocess 1\njob 3\nrestart 0\nstart long ago\n");
  EXPECT_LT(seconds([&] { DirectoryLock(folder.path(), owner("here", "4", 0), quick); }), 0.25);
}

TEST(Lock, OfAnEarlierStartOfTheJobIsTakenAtOnce) {
  TemporaryFolder const folder;
  leave_behind(folder, "host there\nprocess 1\njob 3\nrestart 0\nstart long ago\n");
  EXPECT_LT(seconds([&] { DirectoryLock(folder.path(), owner("here", "3", 1), quick); }), 0.25);
}

TEST(Lock, OfAnotherHostIsTakenWhenItGoesUntouched) {
  TemporaryFolder const folder;
  leave_behind(folder, "host there\nprocess 1\njob 3\nrestart 0\nstart long ago\n");
  std::vector<std::string> told;
  set_log_sink([&](LogLevel, std::string_view message) { told.emplace_back(message); });
  EXPECT_GT(seconds([&] { DirectoryLock(folder.path(), owner("here", "3", 0), quick); }), 0.25);
  EXPECT_NO_THROW(DirectoryLock(folder.path(), owner("here", "3", 0), quick));
  set_log_sink({});
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0].find("waiting up to 0.3 s for '" + folder.path("lock")), std::string::npos) << told[0];
  EXPECT_NE(told[0].find("'job 3 (process 1 on there, since long ago)'"), std::string::npos) << told[0];
}

TEST(Lock, OfAnotherHostIsRefusedWhileItIsTouched) {
  TemporaryFolder const folder;
  leave_behind(folder, "host there\nprocess 1\njob 3\nrestart 0\nstart long ago\n");
  std::jthread const other([&](std::stop_token const& stop) {
    while (!stop.stop_requested()) {
      std::filesystem::last_write_time(folder.path("lock"), std::filesystem::file_time_type::clock::now());
      std::this_thread::sleep_for(20ms);
    }
  });
  expect_failure(ExitCode::cannot_create, {"job 3 (process 1 on there, since long ago)"},
                 [&] { DirectoryLock(folder.path(), owner("here", "", 0), quick); });
}

TEST(Lock, IsTouchedWhileItIsHeld) {
  TemporaryFolder const folder;
  DirectoryLock const lock(folder.path(), owner("here", "", 0), quick);
  auto const first = std::filesystem::last_write_time(folder.path("lock"));
  std::this_thread::sleep_for(200ms);
  EXPECT_GT(std::filesystem::last_write_time(folder.path("lock")), first);
}

TEST(Lock, GarbageInItIsOutwaited) {
  TemporaryFolder const folder;
  leave_behind(folder, std::string("\0\xff host\n\n\nprocess 99999999999999999999\n", 40));
  EXPECT_NO_THROW(DirectoryLock(folder.path(), owner("here", "", 0), quick));
}

TEST(Lock, TokensArePlainNames) {
  EXPECT_EQ(owner("a.b/c", "47_[1]", 3).token(), "47__1_-3");
  EXPECT_EQ(owner("a.b/c", "", 0).token().find("a_b_c-"), 0u);
}

}  // namespace tessera::checkpoint
