// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A file that cannot grow: what a full disk or a quota does, at every place of a save. HDF5 1.10 crashes at
// exit after such a failure unless it was told not to clean up; that this process ends well is a part of the
// test.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>

#include "sample.hpp"
#include "tessera/checkpoint/fault_point.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/shard_file.hpp"
#include "tessera/checkpoint/verify.hpp"

namespace tessera::checkpoint {

namespace {

using test::expect_failure;
using test::sample_tensors;
using test::TemporaryFolder;
using test::write_sample;

/// No file of this process may grow beyond some size while this lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit const limit{bytes, before_.rlim_max};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) throw std::runtime_error(std::strerror(errno));
  }
  FileSizeLimit(FileSizeLimit const&) = delete;
  FileSizeLimit& operator=(FileSizeLimit const&) = delete;
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace

TEST(FullDisk, EachPlaceIsACleanErrorAndTheNextSaveWorks) {
  TemporaryFolder const folder;
  auto const tensors = sample_tensors();
  write_sample(folder.path("before"), tensors, 2, 4, 1);
  int failures = 0;
  for (rlim_t limit = 0; limit < 200'000; limit += 5000) {
    bool failed = false;
    {
      FileSizeLimit const full(limit);
      try {
        write_sample(folder.path("c"), tensors, 2, 4, 1);
      } catch (IoError const& error) {
        failed = true;
        EXPECT_EQ(error.code(), ExitCode::io) << error.what();
        EXPECT_TRUE(std::string(error.what()).ends_with("': File too large")) << error.what();
        EXPECT_NE(std::string(error.what()).find(folder.path("c/")), std::string::npos) << error.what();
      }
    }
    failures += failed ? 1 : 0;
    for (auto const& name : list_directory(folder.path("c"))) {
      EXPECT_TRUE(name.ends_with(".h5") || !failed) << name;
      EXPECT_FALSE(name.ends_with(".tmp")) << name;
    }
    EXPECT_EQ(verify_checkpoint(folder.path("c")).empty(), !failed);
    remove_tree(folder.path("c"));
    write_sample(folder.path("c"), tensors, 2, 4, 1);
    EXPECT_TRUE(verify_checkpoint(folder.path("c")).empty());
    remove_tree(folder.path("c"));
  }
  EXPECT_GT(failures, 10);
  EXPECT_TRUE(verify_checkpoint(folder.path("before")).empty());
}

TEST(FullDisk, AnUnfinishedFileGivesItsRoomBack) {
  TemporaryFolder const folder;
  TensorEntry const entry{"a", DType::u8, {1 << 20}};
  std::vector<std::byte> const elements(1 << 20);
  {
    FileSizeLimit const full(500'000);
    ShardFileWriter writer(folder.path("a.h5"), 1, "test");
    expect_failure(ExitCode::io, {"a.h5", "File too large"},
                   [&] { writer.write(entry, whole(entry.shape), elements); });
  }
  EXPECT_TRUE(list_directory(folder.path()).empty());
}

TEST(FullDisk, TextsAreReplacedWholeOrNotAtAll) {
  TemporaryFolder const folder;
  auto const path = folder.path("manifest.json");
  write_text_atomically(path, "before");
  {
    FileSizeLimit const full(100);
    expect_failure(ExitCode::io, {"manifest.json", "File too large"},
                   [&] { write_text_atomically(path, std::string(1000, 'x')); });
  }
  EXPECT_EQ(read_text(path, 100), "before");
  EXPECT_EQ(list_directory(folder.path()).size(), 1U);
  write_text_atomically(path, "after");
  EXPECT_EQ(read_text(path, 100), "after");
  expect_failure(ExitCode::data, {"more than 3"}, [&] { static_cast<void>(read_text(path, 3)); });
}

}  // namespace tessera::checkpoint
