// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/directory_lock.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <map>
#include <mutex>
#include <sstream>
#include <string_view>
#include <utility>

#include "tessera/base/error.hpp"
#include "tessera/base/log.hpp"
#include "tessera/checkpoint/steps.hpp"

namespace tessera::checkpoint {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t most_text = 4096;

std::string environment(char const* name) {
  char const* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::int64_t to_number(std::string_view text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string text_of(Owner const& owner) {
  return fmt::format("host {}\nprocess {}\njob {}\nrestart {}\nstart {}\n", owner.host, owner.process,
                     owner.job, owner.restart, owner.start);
}

/// The owner that a lock's file names; nothing when it is empty.
std::optional<Owner> read_owner(Descriptor const& file, std::string const& path) {
  std::string text(std::min(static_cast<std::size_t>(file_size(file, path)), most_text), '\0');
  if (text.empty()) return std::nullopt;
  read_at(file, 0, std::as_writable_bytes(std::span(text)), path);
  std::map<std::string, std::string> values;
  std::istringstream lines(text);
  for (std::string key, value; lines >> key && std::getline(lines, value);) {
    values[key] = value.starts_with(' ') ? value.substr(1) : value;
  }
  return Owner{values["host"], to_number(values["process"]), values["job"], to_number(values["restart"]),
               values["start"]};
}

Descriptor open_lock(std::string const& path) {
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666));
  if (!file) throw_io_error("open the lock", path, errno);
  return file;
}

enum class Taken { yes, no, without_locks };

/// Whether the lock was to be had within `patience`, if the file system has locks.
Taken take(Descriptor const& file, std::string const& path, milliseconds patience) {
  auto const end = Clock::now() + patience;
  while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS) return Taken::without_locks;
    if (errno != EWOULDBLOCK && errno != EINTR) throw_io_error("lock", path, errno);
    if (Clock::now() >= end) return Taken::no;
    std::this_thread::sleep_for(milliseconds(20));
  }
  return Taken::yes;
}

milliseconds touched(Descriptor const& file, std::string const& path) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw_io_error("look at", path, errno);
  return std::chrono::duration_cast<milliseconds>(std::chrono::seconds(status.st_mtim.tv_sec) +
                                                  std::chrono::nanoseconds(status.st_mtim.tv_nsec));
}

/// Whether nothing has this name. What cannot be looked at may be there.
bool is_missing(std::string const& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

/// Whether the name leads to another file than the open one.
bool is_another(Descriptor const& file, std::string const& path) {
  struct stat held {};
  struct stat named {};
  return ::fstat(file.get(), &held) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         (held.st_ino != named.st_ino || held.st_dev != named.st_dev);
}

/// What time it is for the file system, whose clock may be another machine's.
milliseconds time_of_file_system(std::string const& directory, Owner const& self) {
  auto const path = path_in(directory, fmt::format("{}.time-{}", lock_name, self.token()));
  remove_tree(path);
  milliseconds const now = touched(create_file(path), path);
  remove_tree(path);
  return now;
}

[[noreturn]] void refuse(std::string const& directory, std::string const& owner) {
  throw IoError(
      fmt::format("cannot save into {}: {} saves there; give every run a directory of its own, or wait for "
                  "that one to end",
                  in_quotes(directory), owner),
      ExitCode::cannot_create);
}

/// Waits until the file has gone untouched for long enough to know that its owner is dead.
void outwait(Descriptor const& file, std::string const& directory, Owner const& owner, Owner const& self,
             LockTiming const& timing) {
  auto const path = path_in(directory, lock_name);
  milliseconds const last = touched(file, path);
  auto const left = timing.stale - (time_of_file_system(directory, self) - last);
  if (left > milliseconds(0)) {
    log(LogLevel::warning,
        fmt::format("waiting up to {:.1f} s for {}: {} wrote there and did not say that it ended; if it does "
                    "not touch the file until then, it is dead",
                    std::chrono::duration<double>(left).count(), in_quotes(path), owner.describe()));
  }
  while (time_of_file_system(directory, self) - last < timing.stale) {
    std::this_thread::sleep_for(std::min(timing.stale / 10, milliseconds(1000)));
    if (touched(file, path) != last) refuse(directory, owner.describe());
  }
}

bool is_earlier_start(Owner const& owner, Owner const& self) {
  return !self.job.empty() && self.job == owner.job && self.restart > owner.restart;
}

/// Whether the owner is known to be dead by what the file tells, given that nobody on this host holds it.
bool is_dead(Owner const& owner, Owner const& self, Taken taken) {
  if (is_earlier_start(owner, self)) return true;
  if (owner.host != self.host) return false;
  return taken == Taken::yes || (::kill(static_cast<pid_t>(owner.process), 0) != 0 && errno == ESRCH);
}

void write_owner(Descriptor const& file, std::string const& path, Owner const& self) {
  auto const text = text_of(self);
  if (::ftruncate(file.get(), 0) != 0) throw_io_error("empty", path, errno);
  write_at(file, 0, std::as_bytes(std::span(text)), path);
  sync_file(file, path);
}

void touch_until_stopped(std::stop_token const& stop, int file, milliseconds beat) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  while (!stopped.wait_for(lock, stop, beat, [&] { return stop.stop_requested(); })) {
    ::futimens(file, nullptr);  // a beat that is missed is made up for by the next
  }
}

}  // namespace

Owner Owner::self() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  auto const now = fmt::gmtime(std::time(nullptr));
  return {host.data(), ::getpid(), environment("SLURM_JOB_ID"), to_number(environment("SLURM_RESTART_COUNT")),
          fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", now)};
}

std::string Owner::describe() const {
  auto const where = fmt::format("process {} on {}, since {}", process, host, start);
  return in_quotes(job.empty() ? where : fmt::format("job {} ({})", job, where));
}

std::string Owner::token() const {
  std::string token = job.empty() ? fmt::format("{}-{}", host, process) : fmt::format("{}-{}", job, restart);
  for (char& c : token) {
    bool const plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
    if (!plain) c = '_';
  }
  return token;
}

DirectoryLock::DirectoryLock(std::string const& directory, Owner const& self, LockTiming const& timing)
    : directory_(directory), path_(path_in(directory, lock_name)), file_(open_lock(path_)) {
  Taken taken = take(file_, path_, timing.patience);
  auto const owner = read_owner(file_, path_);
  if (taken == Taken::no && owner && is_earlier_start(*owner, self)) {
    log(LogLevel::warning,
        fmt::format("waiting up to {:.1f} s for {}: {}, an earlier start of this job, holds it",
                    std::chrono::duration<double>(timing.own_patience).count(), in_quotes(path_),
                    owner->describe()));
    taken = take(file_, path_, timing.own_patience);
  }
  if (taken == Taken::no) refuse(directory, owner ? owner->describe() : "another process");
  if (owner && !is_dead(*owner, self, taken)) outwait(file_, directory, *owner, self, timing);
  write_owner(file_, path_, self);
  touching_ = std::jthread([file = file_.get(), beat = timing.beat](std::stop_token const& stop) {
    touch_until_stopped(stop, file, beat);
  });
}

DirectoryLock::~DirectoryLock() {
  touching_ = {};
  static_cast<void>(::ftruncate(file_.get(), 0));
}

void DirectoryLock::expect_held() const {
  if (is_missing(directory_)) {
    throw IoError(
        fmt::format("{} was moved away or removed while this run saves there", in_quotes(directory_)),
        ExitCode::cannot_create);
  }
  if (!is_missing(path_) && !is_another(file_, path_)) return;
  throw IoError(
      fmt::format("the lock {} was removed or replaced while this run held it, so that another run may "
                  "write there too: let only one of them go on",
                  in_quotes(path_)),
      ExitCode::cannot_create);
}

}  // namespace tessera::checkpoint
