// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/checkpoint/verify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <utility>

#include "checkpoint/content.hpp"
#include "tessera/base/error.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/shard_file.hpp"

namespace tessera::checkpoint {

namespace {

/// The step that a directory is named after.
std::optional<std::int64_t> step_of_name(std::string const& directory) {
  constexpr std::string_view prefix = "step_";
  std::filesystem::path const path(directory);
  std::string const name =
      path.has_filename() ? path.filename().string() : path.parent_path().filename().string();
  if (!name.starts_with(prefix)) return std::nullopt;
  std::int64_t step = 0;
  char const* const end = name.data() + name.size();
  auto const result = std::from_chars(name.data() + prefix.size(), end, step);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return step;
}

using Wanted = std::pair<TensorEntry const*, Shard const*>;

/// The datasets that the manifest says are in each file.
std::vector<std::vector<Wanted>> datasets_by_file(Manifest const& manifest) {
  std::vector<std::vector<Wanted>> files(manifest.files.size());
  for (auto const& [tensor, shards] : manifest.tensors) {
    for (auto const& shard : shards) {
      files[static_cast<std::size_t>(shard.file)].emplace_back(&tensor, &shard);
    }
  }
  return files;
}

std::optional<Problem> verify_datasets(std::string const& directory, FileEntry const& file,
                                       std::vector<Wanted> const& datasets) {
  if (datasets.empty()) return std::nullopt;
  try {
    ShardFileReader reader(directory, file, Trust::verified_before);
    for (auto const& [tensor, shard] : datasets) reader.check(*tensor, *shard);
  } catch (Error const& error) {
    return Problem{file.name, error.what()};
  }
  return std::nullopt;
}

}  // namespace

std::string to_string(Problem const& problem) { return fmt::format("{}: {}", problem.file, problem.what); }

Manifest read_manifest(std::string const& directory) {
  auto const path = path_in(directory, manifest_name);
  Manifest manifest = parse_manifest(read_text(path, max_manifest_bytes), path);
  auto const step = step_of_name(directory);
  if (step && *step != manifest.step) {
    throw DataError(
        fmt::format("{}: this is step {}, in the directory of another step", in_quotes(path), manifest.step));
  }
  return manifest;
}

std::optional<Problem> verify_file(std::string const& directory, FileEntry const& file) {
  auto const path = path_in(directory, file.name);
  try {
    auto const problem = problem_of_content(open_to_read(path), file, path);
    if (problem) return Problem{file.name, *problem};
  } catch (Error const& error) {
    return Problem{file.name, error.what()};
  }
  return std::nullopt;
}

std::vector<Problem> verify_checkpoint(std::string const& directory) {
  Manifest manifest;
  try {
    manifest = read_manifest(directory);
  } catch (Error const& error) {
    return {{std::string(manifest_name), error.what()}};
  }
  std::vector<Problem> problems;
  auto const datasets = datasets_by_file(manifest);
  for (std::size_t k = 0; k < manifest.files.size(); ++k) {
    auto problem = verify_file(directory, manifest.files[k]);
    if (!problem) problem = verify_datasets(directory, manifest.files[k], datasets[k]);
    if (problem) problems.push_back(std::move(*problem));
  }
  return problems;
}

}  // namespace tessera::checkpoint
