// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Who writes into a directory of checkpoints. The rules are told in saver.hpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

#include "tessera/checkpoint/files.hpp"

namespace tessera::checkpoint {

/// Who holds a lock, as its file tells.
struct Owner {
  std::string host;
  std::int64_t process = 0;
  std::string job;           ///< of Slurm; empty without
  std::int64_t restart = 0;  ///< how often Slurm has started the job again
  std::string start;         ///< UTC, for people

  /// This process.
  [[nodiscard]] static Owner self();
  /// "job 4711 (process 12 on node17, since 2024-02-30 12:00:00 UTC)".
  [[nodiscard]] std::string describe() const;
  /// Letters, digits, `-` and `_`: names the temporary directories of this owner.
  [[nodiscard]] std::string token() const;
};

struct LockTiming {
  std::chrono::milliseconds patience{2'000};  ///< with one that another process holds
  std::chrono::milliseconds own_patience{
      180'000};  ///< if that is of an earlier start of this job, on a node that was lost
  std::chrono::milliseconds beat{10'000};   ///< between two touches
  std::chrono::milliseconds stale{60'000};  ///< untouched for so long: its owner is dead
};

class DirectoryLock {
 public:
  /// Takes the lock of `directory` for `self`. Throws IoError (cannot_create) naming the owner that has it.
  DirectoryLock(std::string const& directory, Owner const& self, LockTiming const& timing = {});
  DirectoryLock(DirectoryLock const&) = delete;
  DirectoryLock& operator=(DirectoryLock const&) = delete;
  /// Empties the file and lets go of it.
  ~DirectoryLock();

  /// Throws IoError (cannot_create) when the lock no longer keeps others out: its directory was moved away or
  /// removed, or its file there is another one, or none. Any thread.
  void expect_held() const;

 private:
  std::string directory_;
  std::string path_;
  Descriptor file_;
  std::jthread touching_;
};

}  // namespace tessera::checkpoint
