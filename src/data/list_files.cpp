// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "data/list_files.hpp"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>

#include "data/input_file.hpp"
#include "tessera/base/error.hpp"

namespace tessera::data {

namespace {

namespace fs = std::filesystem;

bool is_hidden(fs::path const& path) { return path.filename().native().starts_with('.'); }

/// Regular files, and links that lead nowhere: opening those says what is missing.
bool is_input(fs::directory_entry const& entry) {
  std::error_code ignored;
  fs::file_type const type = entry.status(ignored).type();
  return type == fs::file_type::regular || type == fs::file_type::not_found || type == fs::file_type::none;
}

std::vector<std::string> files_under(std::string const& directory, std::string_view suffix) {
  std::error_code error;
  std::vector<std::string> files;
  fs::recursive_directory_iterator entry(directory, error);
  while (!error && entry != fs::recursive_directory_iterator()) {
    if (is_hidden(entry->path())) {
      entry.disable_recursion_pending();
    } else if (entry->path().native().ends_with(suffix) && is_input(*entry)) {
      files.push_back(entry->path().native());
    }
    entry.increment(error);
  }
  if (error) throw_cannot_open(directory, error.value());
  if (files.empty()) {
    throw DataError(fmt::format("directory {} holds no files{}{} (names that begin with a dot do not count)",
                                in_quotes(directory), suffix.empty() ? "" : " whose names end in ", suffix));
  }
  return files;
}

std::vector<std::string> matches_of(std::string const& pattern) {
  glob_t found{};
  int const result = ::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found);
  std::unique_ptr<glob_t, decltype(&::globfree)> const owner(&found, &::globfree);
  if (result != 0) throw_cannot_open(pattern, result == GLOB_NOMATCH ? ENOENT : EIO);
  return {found.gl_pathv, found.gl_pathv + found.gl_pathc};
}

}  // namespace

std::vector<std::string> list_files(std::string const& path, std::string_view suffix) {
  std::error_code error;
  fs::file_status const status = fs::status(path, error);
  std::vector<std::string> files = {path};
  if (status.type() == fs::file_type::directory) {
    files = files_under(path, suffix);
  } else if (status.type() == fs::file_type::not_found) {
    files = matches_of(path);
  } else if (error) {
    throw_cannot_open(path, error.value());
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace tessera::data
