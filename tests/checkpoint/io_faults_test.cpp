// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Every call of the system that can fail during a save does so once, by libfiu (this program runs under
// `fiu-run -x`): the error is clean, what was there before is whole, the next save works, and the program
// ends well.
#include <fiu-control.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "sample.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/shard_file.hpp"
#include "tessera/checkpoint/verify.hpp"

namespace tessera::checkpoint {

namespace {

using test::sample_tensors;
using test::TemporaryFolder;
using test::write_sample;

int calls_left = 0;  // the call that finds 1 here fails

int fail_one(char const* /*name*/, int* /*failnum*/, void** /*failinfo*/, unsigned* /*flags*/) {
  return calls_left-- == 1 ? 1 : 0;
}

struct Point {
  char const* name;
  int error_number;
  int fewest;  // errors that this must make, one for each call that matters
};

class IoFaults : public testing::TestWithParam<Point> {};

}  // namespace

TEST_P(IoFaults, EachOneIsACleanError) {
  auto const [name, error_number, fewest] = GetParam();
  TemporaryFolder const folder;
  auto const tensors = sample_tensors();
  write_sample(folder.path("before"), tensors, 2, 2, 1);
  int call = 0;
  int errors = 0;
  for (bool happened = true; happened; remove_tree(folder.path("c"))) {
    calls_left = ++call;
    fiu_enable_external(name, 1, reinterpret_cast<void*>(static_cast<std::intptr_t>(error_number)), 0,
                        &fail_one);
    bool failed = false;
    try {
      write_sample(folder.path("c"), tensors, 2, 2, 1);
    } catch (Error const& error) {
      failed = true;
      ++errors;
      EXPECT_TRUE(std::string(error.what()).ends_with(std::string("': ") + std::strerror(error_number)))
          << error.what();
    }
    fiu_disable(name);
    happened = calls_left <= 0;
    EXPECT_TRUE(happened || !failed);
    // A failure that is not told (closing what was only read, a try that HDF5 repeats) must have done
    // nothing.
    EXPECT_TRUE(failed || verify_checkpoint(folder.path("c")).empty()) << name << " call " << call;
    for (auto const& left : list_directory(folder.path("c"))) EXPECT_FALSE(left.ends_with(".tmp")) << left;
    ASSERT_LT(call, 2000);
  }
  EXPECT_GE(errors, fewest) << name;
  EXPECT_TRUE(verify_checkpoint(folder.path("before")).empty());
  write_sample(folder.path("c"), tensors, 2, 2, 1);
  EXPECT_TRUE(verify_checkpoint(folder.path("c")).empty());
}

TEST(IoFaultsOfReading, AreToldAsSuchAndWithTheNameThatTheFileHas) {
  TemporaryFolder const folder;
  auto const manifest = write_sample(folder.path("c"), sample_tensors(), 1, 1, 1);
  auto const content = contents_of(manifest).front();
  int errors = 0;
  for (bool happened = true; happened;) {
    calls_left = errors + 1;
    fiu_enable_external("posix/io/rw/pread", 1, reinterpret_cast<void*>(std::intptr_t{EIO}), 0, &fail_one);
    try {
      ShardFileReader reader(folder.path("c"), content);
      reader.check(*content.datasets[0].tensor, *content.datasets[0].shard);
    } catch (Error const& error) {
      EXPECT_EQ(error.code(), ExitCode::io) << error.what();
      EXPECT_TRUE(std::string(error.what()).ends_with("': Input/output error")) << error.what();
      EXPECT_NE(std::string(error.what()).find(folder.path("c/rank_00000.h5")), std::string::npos)
          << error.what();
      ++errors;
    }
    fiu_disable("posix/io/rw/pread");
    happened = calls_left <= 0;
    ASSERT_LT(errors, 500);
  }
  EXPECT_GE(errors, 4);  // of hashing, and of HDF5
}

INSTANTIATE_TEST_SUITE_P(
    OfAll, IoFaults,
    testing::Values(Point{"posix/io/rw/pwrite", ENOSPC, 40}, Point{"posix/io/rw/pwrite", EDQUOT, 40},
                    Point{"posix/io/sync/fsync", EIO, 4}, Point{"posix/io/oc/close", EIO, 4},
                    Point{"posix/io/oc/open", EMFILE, 7}, Point{"posix/io/dir/rename", EIO, 1},
                    Point{"posix/io/rw/ftruncate", ENOSPC, 2}));

}  // namespace tessera::checkpoint
