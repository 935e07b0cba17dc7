// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/checkpoint/verify.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "checkpoint/content.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/shard_file.hpp"
#include "tessera/checkpoint/steps.hpp"

namespace tessera::checkpoint {

namespace {

/// The step that a directory is named after.
std::optional<std::int64_t> step_of_name(std::string const& directory) {
  std::filesystem::path const path(directory);
  return parse_step_name((path.has_filename() ? path : path.parent_path()).filename().string());
}

/// A file that is missing is damage like any other.
Problem problem_of(std::string file, Error const& error) {
  return {std::move(file), error.what(), is_unreadable(error.code()) ? error.code() : ExitCode::data};
}

/// One that is missing too.
std::string text_of_manifest(std::string const& path) {
  try {
    return read_text(path, max_manifest_bytes);
  } catch (DataError const& error) {
    if (error.code() == ExitCode::no_input) throw DataError(error.what());
    throw;
  }
}

std::optional<Problem> verify_datasets(std::string const& directory, FileContent const& content) {
  if (content.datasets.empty()) return std::nullopt;
  try {
    ShardFileReader reader(directory, content, Verify::metadata);
    reader.expect_only(content);
    for (auto const& dataset : content.datasets) reader.check(*dataset.tensor, *dataset.shard);
  } catch (Error const& error) {
    return problem_of(content.file->name, error);
  }
  return std::nullopt;
}

}  // namespace

std::string to_string(Problem const& problem) { return fmt::format("{}: {}", problem.file, problem.what); }

bool is_unreadable(ExitCode code) noexcept { return code == ExitCode::permission || code == ExitCode::io; }

Manifest read_manifest(std::string const& directory) {
  auto const path = path_in(directory, manifest_name);
  Manifest manifest = parse_manifest(text_of_manifest(path), path);
  auto const step = step_of_name(directory);
  if (step && *step != manifest.step) {
    throw DataError(
        fmt::format("{}: this is step {}, in the directory of another step", in_quotes(path), manifest.step));
  }
  return manifest;
}

std::optional<Problem> verify_file(std::string const& directory, FileContent const& content) {
  auto const& name = content.file->name;
  auto const path = path_in(directory, name);
  try {
    auto const problem =
        problem_of_content(open_to_read(path), *content.file, elements_of(content), Verify::all, path);
    if (problem) return Problem{name, *problem, ExitCode::data};
  } catch (Error const& error) {
    return problem_of(name, error);
  }
  return std::nullopt;
}

std::vector<Problem> verify_checkpoint(std::string const& directory) {
  Manifest manifest;
  try {
    manifest = read_manifest(directory);
  } catch (Error const& error) {
    return {problem_of(std::string(manifest_name), error)};
  }
  std::vector<Problem> problems;
  for (auto const& content : contents_of(manifest)) {
    auto problem = verify_file(directory, content);
    if (!problem) problem = verify_datasets(directory, content);
    if (problem) problems.push_back(std::move(*problem));
  }
  return problems;
}

}  // namespace tessera::checkpoint
