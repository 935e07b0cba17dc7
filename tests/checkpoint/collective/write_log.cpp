// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Preloaded: every call that changes a file system is written to the file that TESSERA_WRITE_LOG names, one
// line a call, when it has succeeded: `write PATH`, `sync PATH`, `make PATH`, `rename FROM TO`.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cstdarg>
#include <cstdlib>
#include <mutex>
#include <string>

namespace {

template <class Function>
Function* next(char const* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

/// Appends a line by a system call of its own, which is not logged.
void log_line(std::string const& line) {
  static int const log = [] {
    char const* const path = std::getenv("TESSERA_WRITE_LOG");
    return path == nullptr ? -1
                           : static_cast<int>(::syscall(SYS_open, path, O_WRONLY | O_CREAT | O_APPEND, 0666));
  }();
  if (log >= 0) ::syscall(SYS_write, log, line.data(), line.size());
}

std::string path_of(int descriptor) {
  std::array<char, 4096> path{};
  auto const link = "/proc/self/fd/" + std::to_string(descriptor);
  ssize_t const size = ::readlink(link.c_str(), path.data(), path.size());
  return {path.data(), static_cast<std::size_t>(size < 0 ? 0 : size)};
}

template <class Result>
Result logged(char const* what, int descriptor, Result result) {
  if (result >= 0) log_line(std::string(what) + " " + path_of(descriptor) + "\n");
  return result;
}

int logged_open(char const* name, char const* path, int flags, mode_t mode) {
  int const descriptor = next<int(char const*, int, ...)>(name)(path, flags, mode);
  return (flags & O_CREAT) == 0 ? descriptor : logged("make", descriptor, descriptor);
}

mode_t mode_of(int flags, va_list rest) {
  return (flags & O_CREAT) == 0 ? 0 : static_cast<mode_t>(va_arg(rest, int));
}

}  // namespace

extern "C" {

int open(char const* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t const mode = mode_of(flags, rest);
  va_end(rest);
  return logged_open("open", path, flags, mode);
}

int open64(char const* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t const mode = mode_of(flags, rest);
  va_end(rest);
  return logged_open("open64", path, flags, mode);
}

ssize_t write(int file, void const* bytes, size_t count) {
  return logged("write", file, next<ssize_t(int, void const*, size_t)>("write")(file, bytes, count));
}

ssize_t pwrite(int file, void const* bytes, size_t count, off_t at) {
  return logged("write", file,
                next<ssize_t(int, void const*, size_t, off_t)>("pwrite")(file, bytes, count, at));
}

ssize_t pwrite64(int file, void const* bytes, size_t count, off64_t at) {
  return logged("write", file,
                next<ssize_t(int, void const*, size_t, off64_t)>("pwrite64")(file, bytes, count, at));
}

int ftruncate(int file, off_t size) noexcept {
  return logged("write", file, next<int(int, off_t)>("ftruncate")(file, size));
}

int ftruncate64(int file, off64_t size) noexcept {
  return logged("write", file, next<int(int, off64_t)>("ftruncate64")(file, size));
}

int fsync(int file) { return logged("sync", file, next<int(int)>("fsync")(file)); }

int mkdir(char const* path, mode_t mode) noexcept {
  int const result = next<int(char const*, mode_t)>("mkdir")(path, mode);
  if (result == 0) log_line("make " + std::string(path) + "\n");
  return result;
}

int rename(char const* from, char const* to) noexcept {
  int const result = next<int(char const*, char const*)>("rename")(from, to);
  if (result == 0) log_line("rename " + std::string(from) + " " + to + "\n");
  return result;
}

}  // extern "C"
