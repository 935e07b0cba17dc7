// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Every call of the system that a save makes fails once, by libfiu (this program runs under `fiu-run -x`):
// the save is told to have failed, or is whole and warns of what comes after it; earlier steps stay whole,
// nothing half done is left, and the same saver saves again. So does one whose thread cannot start.
#include <dlfcn.h>
#include <fiu-control.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>

#include "run.hpp"
#include "tessera/base/log.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/steps.hpp"
#include "tessera/checkpoint/verify.hpp"
#include "tessera/comm/session.hpp"

namespace {
std::atomic<bool> threads_start = true;
}

/// Takes the place of the system's, and calls it while threads may start.
extern "C" int pthread_create(pthread_t* thread, pthread_attr_t const* attributes, void* (*start)(void*),
                              void* argument) noexcept {
  static auto const of_system =
      reinterpret_cast<decltype(&pthread_create)>(dlsym(RTLD_NEXT, "pthread_create"));
  return threads_start ? of_system(thread, attributes, start, argument) : EAGAIN;
}

namespace tessera::checkpoint {

namespace {

using namespace test;

std::atomic<int> countdown = 0;  // the call that takes it from 1 to 0 fails

int is_the_one(char const* /*name*/, int* /*failnum*/, void** /*failinfo*/, unsigned* /*flags*/) {
  return countdown-- == 1 ? 1 : 0;
}

/// One call of a kind that fails while this exists.
class FailingCall {
 public:
  FailingCall(char const* name, int error_number, int call) : name_(name) {
    countdown = call;
    auto* const value = reinterpret_cast<void*>(static_cast<std::intptr_t>(error_number));
    fiu_enable_external(name, 1, value, 0, &is_the_one);
  }
  FailingCall(FailingCall const&) = delete;
  FailingCall& operator=(FailingCall const&) = delete;
  ~FailingCall() { fiu_disable(name_); }
  [[nodiscard]] static bool happened() { return countdown <= 0; }

 private:
  char const* name_;
};

struct Kind {
  char const* name;
  int error_number;
  int fewest;  // saves that must fail of it, or warn
};

class SaverIoFaults : public testing::TestWithParam<Kind> {};

/// The error that a save ends with; empty without one.
std::string error_of_save(Saver& saver, std::int64_t step) {
  auto const tensors = tensors_at(step);
  Cut cut(tensors, 0, 1, 1);
  try {
    saver.begin(cut.at(step));
    EXPECT_EQ(saver.finish()->step, step);
  } catch (IoError const& error) {
    return error.what();
  }
  return "";
}

std::int64_t temporaries(std::string const& directory) {
  return std::ranges::count_if(list_directory(directory),
                               [](std::string const& name) { return name.find(".tmp") != name.npos; });
}

}  // namespace

TEST_P(SaverIoFaults, EachOneLosesAtMostTheSaveThatItMeets) {
  auto const [name, error_number, fewest] = GetParam();
  int argc = 0;
  char** argv = nullptr;
  auto const session = comm::open_session("loopback", argc, argv);
  auto const world = session->world();
  TemporaryFolder const folder;
  Saver saver(world->duplicate(), {.directory = folder.path(), .keep = 2});
  std::int64_t step = 1;
  EXPECT_EQ(error_of_save(saver, step), "");
  int failed = 0, warnings = 0;
  set_log_sink([&](LogLevel, std::string_view) { ++warnings; });
  bool happened = true;
  for (int call = 1; happened; ++call) {
    ASSERT_LT(call, 500);
    auto const before = folder.path(step_name(step));
    ++step;
    std::string error;
    {
      FailingCall const failing(name, error_number, call);
      error = error_of_save(saver, step);
      happened = FailingCall::happened();
    }
    bool const there = Loader::any_step(folder.path()) && list_steps(folder.path()).front() == step;
    EXPECT_TRUE(there || !error.empty()) << name << " call " << call;
    failed += error.empty() ? 0 : 1;
    EXPECT_TRUE(verify_checkpoint(before).empty()) << name << " call " << call << ": " << error;
    if (there) {
      EXPECT_TRUE(verify_checkpoint(folder.path(step_name(step))).empty()) << name << " call " << call;
    } else {
      --step;
      EXPECT_EQ(temporaries(folder.path()), 0) << name << " call " << call << ": " << error;
    }
    EXPECT_EQ(error_of_save(saver, ++step), "") << name << " after call " << call;
    EXPECT_EQ(temporaries(folder.path()), 0) << name << " after call " << call << ": " << error;
  }
  set_log_sink({});
  EXPECT_GE(failed + warnings, fewest);
  EXPECT_EQ(load_and_compare(*world, folder.path()).manifest().step, step);
}

TEST(SaverThreads, OneThatCannotStartFailsTheSaveForWantOfMemory) {
  int argc = 0;
  char** argv = nullptr;
  auto const session = comm::open_session("loopback", argc, argv);
  auto const world = session->world();
  TemporaryFolder const folder;
  Saver saver(world->duplicate(), {.directory = folder.path()});
  threads_start = false;
  expect_failure(ExitCode::no_memory, {"saving step 1 failed: cannot start the thread that writes"},
                 [&] { save(saver, *world, 1); });
  threads_start = true;
  EXPECT_EQ(temporaries(folder.path()), 0);
  EXPECT_EQ(save(saver, *world, 1).step, 1);
}

INSTANTIATE_TEST_SUITE_P(
    OfAll, SaverIoFaults,
    testing::Values(Kind{"posix/io/rw/pwrite", ENOSPC, 30}, Kind{"posix/io/sync/fsync", EIO, 7},
                    Kind{"posix/io/oc/close", EIO, 4}, Kind{"posix/io/oc/open", EMFILE, 5},
                    Kind{"posix/io/dir/rename", EIO, 4}, Kind{"posix/io/rw/ftruncate", ENOSPC, 1}));

}  // namespace tessera::checkpoint
