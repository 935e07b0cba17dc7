// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "partial.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "tessera/base/error.hpp"
#include "tessera/checkpoint/commit.hpp"

namespace gpt_ckpt {

namespace checkpoint = tessera::checkpoint;

namespace {

using checkpoint::Descriptor;
using checkpoint::in_quotes;

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string parent_of(std::string const& path) {
  auto const parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

/// Whether the open directory still has the name by which it was opened.
bool has_its_name(Descriptor const& directory, std::string const& path) {
  struct stat held {};
  struct stat named {};
  return ::fstat(directory.get(), &held) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

/// Opens and holds a directory. A file system without locks does without.
Descriptor hold(std::string const& path) {
  Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!directory) checkpoint::throw_io_error("open directory", path, errno);
  bool const taken = ::flock(directory.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  if (!taken && has_its_name(directory, path)) return directory;
  throw tessera::IoError(fmt::format("{} is being written by another gpt_ckpt", in_quotes(path)),
                         tessera::ExitCode::cannot_create);
}

}  // namespace

void expect_free(std::string const& path) {
  std::error_code error;
  if (std::filesystem::symlink_status(path, error).type() == std::filesystem::file_type::not_found) return;
  throw tessera::IoError(fmt::format("{} exists; nothing is overwritten", in_quotes(path)),
                         tessera::ExitCode::cannot_create);
}

Partial::Partial(std::string place)
    : place_(without_slash(std::move(place))), directory_(place_ + ".gpt_ckpt-partial") {
  expect_free(place_);
  checkpoint::make_directories(directory_);
  held_ = hold(directory_);
  for (auto const& name : checkpoint::list_directory(directory_)) {
    checkpoint::remove_tree(checkpoint::path_in(directory_, name));
  }
}

Partial::~Partial() {
  std::error_code error;
  if (has_its_name(held_, directory_)) std::filesystem::remove_all(directory_, error);
}

void Partial::put_in_place() {
  expect_free(place_);
  checkpoint::put_in_place(directory_, place_);
}

void Partial::put_in_place(std::string const& name) {
  expect_free(place_);
  checkpoint::rename_path(checkpoint::path_in(directory_, name), place_);
  checkpoint::sync_directory(parent_of(place_));
}

}  // namespace gpt_ckpt
