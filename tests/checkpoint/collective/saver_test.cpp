// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/checkpoint/saver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "checkpoint/agreement.hpp"
#include "checkpoint/directory_lock.hpp"
#include "run.hpp"
#include "support/parallel.hpp"
#include "tessera/checkpoint/commit.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/steps.hpp"
#include "tessera/checkpoint/verify.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::checkpoint {

namespace {

using namespace test;
using Strings = std::vector<std::string>;

/// Saves with the first `ranks` ranks while the others wait.
void save_with(int ranks, std::string const& directory, SaverOptions options, std::uint64_t seed) {
  auto& world = support::world();
  auto const group = world.split(world.rank() < ranks ? std::optional(0) : std::nullopt, world.rank());
  options.directory = directory;
  if (group) {
    Saver saver(group->duplicate(), options);
    save(saver, *group, 7, seed);
  }
  comm::barrier(world);
}

void load_with(int ranks, std::string const& directory, std::uint64_t seed) {
  auto& world = support::world();
  auto const group = world.split(world.rank() < ranks ? std::optional(0) : std::nullopt, world.rank());
  if (group) {
    EXPECT_EQ(load_and_compare(*group, directory, seed).manifest().step, 7);
  }
  comm::barrier(world);
}

std::int64_t shard_files(std::string const& step) {
  return std::ranges::count_if(list_directory(step),
                               [](std::string const& name) { return name.starts_with("rank_"); });
}

}  // namespace

TEST(Saver, WhatAnyRanksSaveAnyRanksLoad) {
  int const size = support::world().size();
  std::uint64_t seed = 1;
  for (int const savers : {1, 2, 4, 8}) {
    for (int const loaders : {1, 2, 3, 8}) {
      if (savers > size || loaders > size) continue;
      SCOPED_TRACE(fmt::format("{} ranks save, {} load", savers, loaders));
      SharedFolder const folder(support::world());
      save_with(savers, folder.path("c"), {.directory = "", .synchronous = seed % 2 == 0}, ++seed);
      load_with(loaders, folder.path("c"), ++seed);
    }
  }
}

TEST(Saver, NeighboursShareFiles) {
  int const size = support::world().size();
  for (int const per_file : {2, 3, 100}) {
    for (bool const synchronous : {false, true}) {
      SharedFolder const folder(support::world());
      save_with(size, folder.path(),
                {.directory = "", .synchronous = synchronous, .ranks_per_file = per_file}, 5);
      EXPECT_EQ(shard_files(folder.path("step_00000007")), (size + per_file - 1) / per_file);
      load_with(size, folder.path(), 6);
    }
  }
}

TEST(Saver, FilesAreSharedInsideTheNodesThatAreGiven) {
  int const size = support::world().size();
  std::vector<int> nodes;
  for (int rank = 0; rank < size; ++rank) nodes.push_back(rank / 2);
  SharedFolder const folder(support::world());
  save_with(size, folder.path(), {.directory = "", .ranks_per_file = 3, .nodes = nodes}, 5);
  EXPECT_EQ(shard_files(folder.path("step_00000007")), (size + 1) / 2);
  load_with(size, folder.path(), 6);
}

TEST(Saver, AsynchronousSavesTakeTheValuesOfBegin) {
  auto& world = support::world();
  SharedFolder const folder(world);
  Saver saver(world.duplicate(), {.directory = folder.path()});
  auto tensors = tensors_at(3);
  {
    Cut cut(tensors, world.rank(), world.size(), 9);
    saver.reserve(cut.at(3));
    saver.begin(cut.at(3));
  }
  for (auto& tensor : tensors) std::ranges::fill(tensor.elements, std::byte{0xee});
  EXPECT_TRUE(saver.busy());
  int polls = 0;
  std::optional<SaveResult> result;
  while (saver.busy() && !result) {
    result = saver.poll();
    ++polls;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_GE(polls, 2);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->step, 3);
  EXPECT_EQ(result->directory, folder.path("step_00000003"));
  EXPECT_GT(result->bytes, 0);
  EXPECT_GT(result->blocked_s, 0);
  EXPECT_LE(result->blocked_s, result->total_s);
  EXPECT_GT(saver.blocked_s(), 0);
  EXPECT_EQ(saver.blocked_s(), 0);
  EXPECT_FALSE(saver.finish());
  load_and_compare(world, folder.path());
}

TEST(Saver, TheBytesOfFilesAreCounted) {
  auto& world = support::world();
  SharedFolder const folder(world);
  Saver saver(world.duplicate(), {.directory = folder.path()});
  auto const result = save(saver, world, 4);
  std::int64_t bytes = 0;
  for (auto const& name : list_directory(result.directory)) {
    bytes += std::ssize(read_bytes(path_in(result.directory, name)));
  }
  EXPECT_EQ(result.bytes, bytes);
}

TEST(Saver, SynchronousAndAsynchronousSavesMakeTheSameFiles) {
  auto& world = support::world();
  SharedFolder const folder(world);
  for (bool const synchronous : {false, true}) {
    Saver saver(world.duplicate(),
                {.directory = folder.path(synchronous ? "a" : "b"), .synchronous = synchronous});
    save(saver, world, 12);
  }
  on_rank_0(world, [&] {
    for (auto const& name : list_directory(folder.path("a/step_00000012"))) {
      EXPECT_TRUE(read_bytes(folder.path("a/step_00000012/" + name)) ==
                  read_bytes(folder.path("b/step_00000012/" + name)))
          << name;
    }
  });
}

TEST(Saver, TheNextSaveWaitsForTheLastAndNoResultIsLost) {
  auto& world = support::world();
  SharedFolder const folder(world);
  Saver saver(world.duplicate(), {.directory = folder.path(), .keep = 0});
  auto const tensors = tensors_at(1);
  Cut cut(tensors, world.rank(), world.size(), 9);
  saver.begin(cut.at(1));
  auto const later = tensors_at(2);
  Cut next(later, world.rank(), world.size(), 10);
  saver.begin(next.at(2));
  auto const first = saver.poll();
  auto const second = saver.finish();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->step, 1);
  EXPECT_EQ(second->step, 2);
  load_and_compare(world, folder.path("step_00000001"));
  load_and_compare(world, folder.path("step_00000002"));
}

TEST(Saver, FailureOfOneRankIsThrownOnAllAndTheSaverGoesOn) {
  auto& world = support::world();
  for (bool const synchronous : {false, true}) {
    SharedFolder const folder(world);
    Saver saver(world.duplicate(), {.directory = folder.path(), .synchronous = synchronous});
    save(saver, world, 1);
    auto const token = broadcast_text(world, Owner::self().token(), 0);
    auto const temporary = folder.path(temporary_name(2, token));
    int const last = world.size() - 1;
    auto const file = fmt::format("rank_{:05}.h5", last);
    on_rank_0(world, [&] {
      create_directory(temporary);
      write_bytes(path_in(temporary, file), "in the way");
    });
    expect_failure(ExitCode::cannot_create, {"saving step 2 failed", file, "File exists"},
                   [&] { save(saver, world, 2); });
    EXPECT_FALSE(saver.busy());
    EXPECT_EQ(names_in(world, folder.path()), (Strings{"latest", "step_00000001"}));
    EXPECT_EQ(save(saver, world, 2).step, 2);
    load_and_compare(world, folder.path());
  }
}

TEST(Saver, ASaveThatNobodyWaitsForLeavesNothing) {
  auto& world = support::world();
  SharedFolder const folder(world);
  auto const tensors = tensors_at(1);
  Cut cut(tensors, world.rank(), world.size(), 9);
  {
    Saver saver(world.duplicate(), {.directory = folder.path()});
    saver.begin(cut.at(1));
  }
  EXPECT_EQ(names_in(world, folder.path()), Strings{});
  Saver again(world.duplicate(), {.directory = folder.path()});
  EXPECT_EQ(save(again, world, 1).step, 1);
}

TEST(Saver, BoxesThatDoNotCoverATensorAreAnInternalError) {
  auto& world = support::world();
  SharedFolder const folder(world);
  Saver saver(world.duplicate(), {.directory = folder.path()});
  auto const tensors = tensors_at(1);
  Cut cut(tensors, world.rank(), world.size(), 9);
  auto snapshot = cut.at(1);
  if (!snapshot.parts.empty()) snapshot.parts.pop_back();
  expect_failure(ExitCode::internal, {"saving step 1 failed"}, [&] {
    saver.begin(snapshot);
    saver.finish();
  });
  snapshot = cut.at(1);
  if (!snapshot.parts.empty()) snapshot.parts.back().sources.clear();
  expect_failure(ExitCode::internal, {"sources cover a box exactly once"}, [&] {
    saver.begin(snapshot);
    saver.finish();
  });
}

TEST(Saver, AFailureInAGroupIsToldOnceAndWithTheRankThatHasIt) {
  auto& world = support::world();
  SharedFolder const folder(world);
  Saver saver(world.duplicate(), {.directory = folder.path(), .ranks_per_file = 8});
  auto const tensors = tensors_at(1);
  Cut cut(tensors, world.rank(), world.size(), 9);
  auto snapshot = cut.at(1);
  int const last = world.size() - 1;
  if (world.rank() == last) snapshot.parts.back().sources.clear();
  auto const whose =
      world.size() > 1 ? fmt::format("saving step 1 failed: rank {}: ", last) : "step 1 failed: ";
  expect_failure(ExitCode::internal, {whose, "sources cover a box exactly once"}, [&] {
    saver.begin(snapshot);
    saver.finish();
  });
}

TEST(Saver, OptionsOutOfRangeAreToldAtOnce) {
  expect_failure(ExitCode::config, {"no name", "-1 checkpoints", "0 ranks per file"}, [] {
    Saver(support::world().duplicate(), {.directory = "", .keep = -1, .ranks_per_file = 0});
  });
}

}  // namespace tessera::checkpoint
