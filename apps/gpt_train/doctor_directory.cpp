// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdio>
#include <filesystem>
#include <span>
#include <system_error>
#include <vector>

#include "doctor_system.hpp"
#include "shared_directory.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/comm/collectives.hpp"
#include "text.hpp"

namespace gpt_train {

namespace {

constexpr std::size_t trial_bytes = std::size_t{4} << 20;

/// Files of a trial; taken away with the object.
class Trial {
 public:
  explicit Trial(std::string const& directory)
      : path_(fmt::format("{}/.tessera-doctor-{}", directory, getpid())), renamed_(path_ + "-renamed") {}
  Trial(Trial const&) = delete;
  Trial& operator=(Trial const&) = delete;
  ~Trial() {
    unlink(path_.c_str());
    unlink(renamed_.c_str());
  }
  [[nodiscard]] std::string const& path() const noexcept { return path_; }
  [[nodiscard]] std::string const& renamed() const noexcept { return renamed_; }

 private:
  std::string path_, renamed_;
};

/// A step of the trial: "fsync: ok", or the system's words and `advice`.
Finding step(std::string const& name, bool worked, std::string const& advice) {
  if (worked) return {Verdict::ok, name};
  return {Verdict::fail, fmt::format("{}: {}", name, std::generic_category().message(errno)), advice};
}

/// Whether all of it could be written; errno says why not. A file system without room for all takes a part
/// first, without an error.
bool write_all(int file, std::span<char const> bytes) {
  while (!bytes.empty()) {
    auto const written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written == 0) errno = ENOSPC;
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

Finding write_and_sync(int file) {
  std::vector<char> const bytes(trial_bytes, 'x');
  auto const begin = std::chrono::steady_clock::now();
  bool const worked = write_all(file, bytes) && fsync(file) == 0;
  std::chrono::duration<double> const passed = std::chrono::steady_clock::now() - begin;
  auto name = "write and fsync " + bytes_text(static_cast<double>(trial_bytes));
  if (worked) {
    name += fmt::format(": {:.0f} MB/s on rank 0", static_cast<double>(trial_bytes) * 1e-6 / passed.count());
  }
  return step(name, worked,
              "the file system is full, or does not keep what it is given: use another for checkpoints");
}

Finding free_space(std::string const& directory, double bytes_of_one, int checkpoints) {
  struct statvfs system {};
  if (statvfs(directory.c_str(), &system) != 0) return step("free space", false, "ask the site");
  auto const free = static_cast<double>(system.f_bavail) * static_cast<double>(system.f_frsize);
  double const needed = bytes_of_one * checkpoints;
  auto const text = fmt::format("{} free; {} checkpoint{} of {} need {}", bytes_text(free), checkpoints,
                                checkpoints == 1 ? "" : "s", bytes_text(bytes_of_one), bytes_text(needed));
  if (free < needed) {
    return {Verdict::fail, text, "make room, choose another --save, or keep fewer (--keep)"};
  }
  if (free < 2 * needed) return {Verdict::warn, text, "it fits, but a second run will not"};
  return {Verdict::ok, text + " (quotas are not seen)"};
}

bool is_folder(std::string const& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

/// Where a run would make `directory`, which is not there: it makes the last part of a path only.
std::string parent_of(std::string const& directory) {
  auto const path = std::filesystem::path(directory) / "";  // with or without a slash at its end
  auto const parent = path.parent_path().parent_path();
  return parent.empty() ? "." : parent.string();
}

bool is_taken(std::string const& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0;
}

/// Where a run that saves into `wanted` writes first.
std::string tried_for(std::string const& wanted) {
  return !is_taken(wanted) && is_folder(parent_of(wanted)) ? parent_of(wanted) : wanted;
}

}  // namespace

Findings find_sharing(tessera::comm::Communicator& world, std::string const& wanted) {
  if (world.size() == 1) return {};
  std::array<std::uint8_t, PATH_MAX> tried{};
  if (world.rank() == 0) std::ranges::copy(tried_for(wanted).substr(0, tried.size() - 1), tried.begin());
  tessera::comm::broadcast(world, tried, 0).wait_host();
  auto const problem = not_shared(world, reinterpret_cast<char const*>(tried.data()));
  if (problem.empty()) return {{Verdict::ok, "all ranks see what rank 0 writes"}};
  return {{Verdict::fail, problem, "name a directory on a file system that all nodes have in common"}};
}

Findings find_directory(std::string const& wanted, double bytes_of_one, int checkpoints) {
  Findings findings;
  std::string const directory = tried_for(wanted);
  if (directory != wanted) {
    findings.push_back(
        {Verdict::ok, fmt::format("not there yet: a run makes it; tried out in {}", directory)});
  } else if (!is_folder(wanted)) {
    return {{Verdict::fail, fmt::format("\"{}\" is no directory", wanted),
             "make it, or give another --directory"}};
  }
  Trial const trial(directory);
  tessera::checkpoint::Descriptor const file(
      open(trial.path().c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  findings.push_back(
      step("create a file", file.get() >= 0, "you may not write there: choose another directory"));
  if (file.get() < 0) return findings;
  findings.push_back(write_and_sync(file.get()));
  findings.push_back(step("lock it (flock)", flock(file.get(), LOCK_EX | LOCK_NB) == 0,
                          "two jobs could save into one directory: mount it with locks (Lustre: -o flock)"));
  findings.push_back(step("rename it", std::rename(trial.path().c_str(), trial.renamed().c_str()) == 0,
                          "checkpoints are made whole by a rename: choose another file system"));
  tessera::checkpoint::Descriptor const folder(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  findings.push_back(step("fsync the directory", folder.get() >= 0 && fsync(folder.get()) == 0,
                          "a checkpoint may be lost when the power fails: choose another file system"));
  findings.push_back(free_space(directory, bytes_of_one, checkpoints));
  return findings;
}

}  // namespace gpt_train
