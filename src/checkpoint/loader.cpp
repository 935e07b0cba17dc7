// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/checkpoint/loader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

#include "checkpoint/agreement.hpp"
#include "tessera/checkpoint/fault_point.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/shard_file.hpp"
#include "tessera/checkpoint/steps.hpp"
#include "tessera/checkpoint/verify.hpp"

namespace tessera::checkpoint {

namespace {

/// Collective. What rank 0 finds at `path`.
std::vector<std::string> agreed_candidates(comm::Communicator& world, std::string const& path) {
  std::string text;
  auto const failure = agree(world, failure_of([&] {
                               read_faults_of(world.size());
                               if (world.rank() != 0) return;
                               for (auto const& directory : candidates(path)) text += directory + '\0';
                             }));
  if (failure) throw_failure<DataError>(*failure);
  std::istringstream lines(broadcast_text(world, std::move(text), 0));
  std::vector<std::string> directories;
  for (std::string line; std::getline(lines, line, '\0');) directories.push_back(line);
  return directories;
}

/// Hashes this rank's share of the elements, in bytes as even as datasets allow; around them, each rank what
/// belongs to its own. Throws DataError.
void verify_share(std::string const& directory, std::vector<FileContent> const& contents, int rank,
                  int size) {
  std::int64_t total = 0;
  for (auto const& content : contents) {
    for (auto const& dataset : content.datasets) total += dataset.bytes();
  }
  std::int64_t const share = std::max<std::int64_t>((total + size - 1) / size, 1);
  std::int64_t before = 0;
  int turn = 0;
  for (auto const& content : contents) {
    if (content.datasets.empty() && turn++ % size == rank) {
      if (auto const problem = verify_file(directory, content))
        throw DataError(to_string(*problem), problem->code);
    }
    std::optional<ShardFileReader> reader;
    for (auto const& dataset : content.datasets) {
      bool const own = before / share == rank;
      before += dataset.bytes();
      if (!own) continue;
      if (!reader) {
        reader.emplace(directory, content, Verify::metadata);
        reader->expect_only(content);
      }
      reader->verify_elements(*dataset.tensor, *dataset.shard);
    }
  }
}

/// Collective. The manifest that rank 0 reads, or what is wrong with it.
std::optional<Failure> agree_on_manifest(comm::Communicator& world, std::string const& directory,
                                         Manifest& manifest) {
  std::string text;
  auto failure = agree(world, failure_of([&] {
                         if (world.rank() != 0) return;
                         manifest = read_manifest(directory);
                         text = to_text(manifest);
                       }));
  if (failure) return failure;
  text = broadcast_text(world, std::move(text), 0);
  return agree(world, failure_of([&] {
                 if (world.rank() == 0) return;
                 manifest = parse_manifest(text, path_in(directory, manifest_name));
               }));
}

}  // namespace

Loader::Loader(std::string directory, Manifest manifest, std::vector<Skipped> skipped)
    : Reader(std::move(directory), std::move(manifest)), skipped_(std::move(skipped)) {}

Loader Loader::open(comm::Communicator& world, std::string const& path) {
  set_fault_rank(world.rank());
  std::vector<Skipped> skipped;
  std::optional<ExitCode> code;
  for (auto const& directory : agreed_candidates(world, path)) {
    Manifest manifest;
    auto failure = agree_on_manifest(world, directory, manifest);
    if (!failure) {
      failure = agree(world, failure_of([&] {
                        verify_share(directory, contents_of(manifest), world.rank(), world.size());
                      }));
    }
    if (!failure) return {directory, std::move(manifest), std::move(skipped)};
    code = code.value_or(failure->code);
    skipped.push_back({directory, failure->message});
  }
  std::string message = fmt::format("no checkpoint in {} can be loaded", in_quotes(path));
  for (auto const& one : skipped) message += fmt::format("\n  {}: {}", one.directory, one.reason);
  throw_failure<DataError>({code.value_or(ExitCode::no_input), message});
}

bool Loader::any_step(std::string const& directory) {
  try {
    return !list_steps(directory).empty();
  } catch (DataError const& error) {
    if (error.code() == ExitCode::no_input) return false;
    throw;
  }
}

}  // namespace tessera::checkpoint
