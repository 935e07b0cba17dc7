// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/checkpoint/commit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <numeric>
#include <system_error>
#include <utility>

#include "checkpoint/agreement.hpp"
#include "checkpoint/join.hpp"
#include "tessera/base/error.hpp"
#include "tessera/checkpoint/fault_point.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/steps.hpp"
#include "tessera/checkpoint/verify.hpp"
#include "tessera/checkpoint/virtual_file.hpp"

namespace tessera::checkpoint {

namespace {

bool exists(std::string const& path) {
  std::error_code error;
  return std::filesystem::symlink_status(path, error).type() != std::filesystem::file_type::not_found;
}

std::string parent_of(std::string const& path) {
  auto const parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

/// A directory that has the step's name although the step is only now being saved: kept if it is whole, else
/// moved aside.
bool keep_existing(std::string const& directory, std::int64_t step) {
  auto const place = path_in(directory, step_name(step));
  if (!exists(place)) return false;
  if (verify_checkpoint(place).empty()) return true;
  int number = 1;
  while (exists(fmt::format("{}.damaged-{}", place, number))) ++number;
  fault_point("ckpt.before_move_aside");
  put_in_place(place, fmt::format("{}.damaged-{}", place, number));
  return false;
}

/// Whether a step has a manifest and its files their sizes; the bytes are not read.
bool looks_whole(std::string const& directory) {
  try {
    auto const manifest = read_manifest(directory);
    return std::ranges::all_of(manifest.files, [&](FileEntry const& entry) {
      auto const path = path_in(directory, entry.name);
      return file_size(open_to_read(path), path) == entry.bytes;
    });
  } catch (Error const&) {
    return false;
  }
}

/// Its name goes first, at once, so that a crash leaves no half step, then what it holds.
void remove_step(std::string const& directory, std::int64_t step, std::string const& token) {
  auto const doomed = path_in(directory, temporary_name(step, token));
  fault_point("ckpt.before_prune");
  put_in_place(path_in(directory, step_name(step)), doomed);
  fault_point("ckpt.during_prune");
  remove_tree(doomed);
}

using Troubles = std::vector<std::string>;

/// Does what a saved step is none the worse without: a failure is only noted.
template <class Action>
void try_to(Troubles& troubles, Action const& action) {
  if (auto const failure = failure_of(action)) troubles.push_back(failure->message);
}

void prune(Commit const& what, Troubles& troubles) {
  if (what.keep == 0) return;
  int kept = 1;
  for (auto const step : list_steps(what.directory)) {
    if (step >= what.manifest.step || what.known.damaged.contains(step)) continue;
    if (!looks_whole(path_in(what.directory, step_name(step)))) continue;
    if (kept >= what.keep) {
      try_to(troubles, [&] { remove_step(what.directory, step, what.token); });
    } else if (what.known.whole.contains(step)) {
      ++kept;
    }
  }
}

/// What follows when the step has its name. Nothing older goes before `latest` leads to the new one.
void tidy_up(Commit const& what, Troubles& troubles) {
  try_to(troubles, [&] {
    fault_point("ckpt.after_rename");
    fault_point("ckpt.before_latest");
    write_text_atomically(path_in(what.directory, latest_name), step_name(what.manifest.step) + "\n");
    std::ranges::move(remove_leftovers(what.directory), std::back_inserter(troubles));
    prune(what, troubles);
  });
}

}  // namespace

void make_directories(std::string const& path) {
  if (std::error_code error; std::filesystem::is_directory(path, error)) return;
  std::filesystem::path const whole(path);
  if (!whole.has_filename()) return make_directories(parent_of(path));
  make_directories(parent_of(path));
  create_directory(path);
  sync_directory(parent_of(path));
}

std::int64_t complete(std::string const& directory, Manifest manifest, std::string const& writer) {
  fault_point("ckpt.before_whole");
  manifest.files.push_back(write_virtual_file(directory, manifest, writer));
  auto const text = to_text(manifest);
  fault_point("ckpt.before_manifest");
  write_text_atomically(path_in(directory, manifest_name), text);
  fault_point("ckpt.after_manifest");
  return std::accumulate(manifest.files.begin(), manifest.files.end(), std::ssize(text),
                         [](std::int64_t sum, FileEntry const& entry) { return sum + entry.bytes; });
}

void put_in_place(std::string const& temporary, std::string const& place) {
  rename_path(temporary, place);
  sync_directory(parent_of(place));
}

std::string temporary_name(std::int64_t step, std::string const& token) {
  return fmt::format("{}.tmp-{}", step_name(step), token);
}

std::vector<std::string> remove_leftovers(std::string const& directory) {
  Troubles troubles;
  for (auto const& name : list_directory(directory)) {
    auto const dot = name.find(".tmp");
    if (dot == name.npos) continue;
    auto const stem = std::string_view(name).substr(0, dot);
    if (stem != latest_name && !parse_step_name(stem)) continue;
    try_to(troubles, [&] {
      fault_point("ckpt.remove_leftover");
      remove_tree(path_in(directory, name));
    });
  }
  return troubles;
}

Committed commit(Commit const& what) {
  auto const temporary = path_in(what.directory, what.temporary);
  auto const place = path_in(what.directory, step_name(what.manifest.step));
  Committed committed;
  Troubles troubles;
  committed.bytes = complete(temporary, what.manifest, "rank 0");
  committed.existed = keep_existing(what.directory, what.manifest.step);
  fault_point("ckpt.before_rename");
  if (committed.existed) {
    try_to(troubles, [&] { remove_tree(temporary); });
  } else {
    put_in_place(temporary, place);
  }
  tidy_up(what, troubles);
  if (!troubles.empty()) {
    committed.troubles =
        fmt::format("checkpoint {} is saved and whole, but {}", in_quotes(place), join(troubles, "; "));
  }
  return committed;
}

}  // namespace tessera::checkpoint
