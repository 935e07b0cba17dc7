// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/checkpoint/steps.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "tessera/base/error.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/manifest.hpp"

namespace tessera::checkpoint {

namespace {

constexpr std::string_view prefix = "step_";

void expect_directory(std::string const& path) {
  std::error_code error;
  auto const status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::directory) return;
  if (status.type() == std::filesystem::file_type::not_found) {
    throw DataError(fmt::format("there is no checkpoint directory {}", in_quotes(path)), ExitCode::no_input);
  }
  if (error) {
    throw DataError(fmt::format("cannot look at {}: {}", in_quotes(path), error.message()),
                    error == std::errc::permission_denied ? ExitCode::permission : ExitCode::data);
  }
  throw DataError(fmt::format("{} is not a directory of checkpoints", in_quotes(path)), ExitCode::no_input);
}

/// The path without slashes at its end.
std::string trimmed(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

std::string step_name(std::int64_t step) { return fmt::format("{}{:08}", prefix, step); }

std::optional<std::int64_t> parse_step_name(std::string_view name) noexcept {
  if (!name.starts_with(prefix)) return std::nullopt;
  auto const digits = name.substr(prefix.size());
  std::int64_t step = 0;
  char const* const end = digits.data() + digits.size();
  auto const result = std::from_chars(digits.data(), end, step);
  bool const whole_number = result.ec == std::errc() && result.ptr == end && digits.front() != '-';
  bool const right_length = digits.size() == 8 || (digits.size() > 8 && digits.front() != '0');
  return whole_number && right_length ? std::optional(step) : std::nullopt;
}

std::vector<std::int64_t> list_steps(std::string const& directory) {
  expect_directory(directory);
  std::vector<std::int64_t> steps;
  try {
    for (auto const& name : list_directory(directory)) {
      if (auto const step = parse_step_name(name)) steps.push_back(*step);
    }
  } catch (IoError const& error) {
    throw DataError(error.what(), error.code());
  }
  std::ranges::sort(steps, std::greater<>());
  return steps;
}

std::optional<std::int64_t> step_in(std::string const& directory, std::string const& path) {
  std::error_code error;
  auto const real = std::filesystem::canonical(path, error);
  if (error || !std::filesystem::equivalent(real.parent_path(), directory, error)) return std::nullopt;
  return parse_step_name(real.filename().string());
}

std::vector<std::string> candidates(std::string const& path) {
  std::string const directory = trimmed(path);
  expect_directory(directory);
  std::error_code error;
  bool const has_manifest = std::filesystem::exists(path_in(directory, manifest_name), error);
  if (has_manifest || parse_step_name(std::filesystem::path(directory).filename().string())) {
    return {directory};
  }
  std::vector<std::string> directories;
  for (auto const step : list_steps(directory)) directories.push_back(path_in(directory, step_name(step)));
  if (directories.empty()) {
    throw DataError(fmt::format("there is no checkpoint in {}", in_quotes(directory)), ExitCode::no_input);
  }
  return directories;
}

}  // namespace tessera::checkpoint
