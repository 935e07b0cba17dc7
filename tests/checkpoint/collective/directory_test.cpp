// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What a saver does to a directory of checkpoints.
#include <filesystem>

#include "run.hpp"
#include "support/parallel.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/saver.hpp"
#include "tessera/checkpoint/steps.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::checkpoint {

namespace {

using namespace test;
using Strings = std::vector<std::string>;

/// Saves each of `steps`, and returns what is in the directory then.
Strings after_saving(std::vector<std::int64_t> const& steps, std::string const& directory, int keep) {
  auto& world = support::world();
  Saver saver(world.duplicate(), {.directory = directory, .keep = keep});
  for (auto const step : steps) save(saver, world, step);
  return names_in(world, directory);
}

}  // namespace

TEST(SaveDirectory, TheNewestStepsStay) {
  SharedFolder const folder(support::world());
  EXPECT_EQ(after_saving({1, 2, 3}, folder.path("two"), 2),
            (Strings{"latest", "step_00000002", "step_00000003"}));
  EXPECT_EQ(after_saving({1, 2, 3}, folder.path("one"), 1), (Strings{"latest", "step_00000003"}));
  EXPECT_EQ(after_saving({1, 2, 3}, folder.path("all"), 0),
            (Strings{"latest", "step_00000001", "step_00000002", "step_00000003"}));
  EXPECT_EQ(read_bytes(folder.path("one/latest")), "step_00000003\n");
}

TEST(SaveDirectory, StepsOfARunTakenBackAndStepsThatAreNotWholeDoNotCount) {
  auto& world = support::world();
  SharedFolder const folder(world);
  after_saving({1, 2, 3, 4, 900}, folder.path(), 0);
  on_rank_0(world, [&] {
    std::filesystem::resize_file(folder.path("step_00000004/rank_00000.h5"), 100);
    std::filesystem::remove(folder.path("step_00000003/manifest.json"));
  });
  EXPECT_EQ(after_saving({5, 6}, folder.path(), 2),
            (Strings{"latest", "step_00000003", "step_00000004", "step_00000005", "step_00000006",
                     "step_00000900"}));
}

TEST(SaveDirectory, NothingIsRemovedUntilAsManyNewerStepsAreKnownToBeWhole) {
  SharedFolder const folder(support::world());
  after_saving({1, 2, 3}, folder.path(), 0);
  EXPECT_EQ(after_saving({4}, folder.path(), 2),
            (Strings{"latest", "step_00000001", "step_00000002", "step_00000003", "step_00000004"}));
  EXPECT_EQ(after_saving({5, 6}, folder.path(), 2), (Strings{"latest", "step_00000005", "step_00000006"}));
}

TEST(SaveDirectory, AStepThatALoaderFoundDamagedTakesNobodysPlaceAndStays) {
  auto& world = support::world();
  SharedFolder const folder(world);
  after_saving({1, 2, 4}, folder.path(), 0);
  on_rank_0(world, [&] { flip_bit(folder.path("step_00000004/rank_00000.h5")); });
  Saver saver(world.duplicate(), {.directory = folder.path(), .keep = 2});
  saver.learn_from(load_and_compare(world, folder.path("./")));
  save(saver, world, 3);
  EXPECT_EQ(names_in(world, folder.path()),
            (Strings{"latest", "step_00000002", "step_00000003", "step_00000004"}));
  save(saver, world, 6);
  EXPECT_EQ(names_in(world, folder.path()),
            (Strings{"latest", "step_00000003", "step_00000004", "step_00000006"}));
  save(saver, world, 9);
  EXPECT_EQ(names_in(world, folder.path()),
            (Strings{"latest", "step_00000004", "step_00000006", "step_00000009"}));
  load_and_compare(world, folder.path());
}

TEST(SaveDirectory, ALoaderOfAnotherDirectoryTeachesNothing) {
  auto& world = support::world();
  SharedFolder const folder(world);
  after_saving({1, 2}, folder.path("a"), 0);
  after_saving({2}, folder.path("b"), 0);
  Saver saver(world.duplicate(), {.directory = folder.path("a"), .keep = 2});
  saver.learn_from(load_and_compare(world, folder.path("b")));
  save(saver, world, 3);
  EXPECT_EQ(names_in(world, folder.path("a")),
            (Strings{"latest", "step_00000001", "step_00000002", "step_00000003"}));
}

TEST(SaveDirectory, AStepThatIsThereAndWholeIsKept) {
  auto& world = support::world();
  SharedFolder const folder(world);
  Saver saver(world.duplicate(), {.directory = folder.path()});
  EXPECT_FALSE(save(saver, world, 5, 1).existed);
  auto const before = read_bytes(folder.path("step_00000005/manifest.json"));
  EXPECT_TRUE(save(saver, world, 5, 2).existed);
  EXPECT_EQ(read_bytes(folder.path("step_00000005/manifest.json")), before);
  EXPECT_EQ(names_in(world, folder.path()), (Strings{"latest", "step_00000005"}));
}

TEST(SaveDirectory, AStepThatIsThereAndDamagedIsMovedAside) {
  auto& world = support::world();
  SharedFolder const folder(world);
  Saver saver(world.duplicate(), {.directory = folder.path()});
  for (int const times : {1, 2}) {
    save(saver, world, 5);
    on_rank_0(world, [&] { flip_bit(folder.path("step_00000005/model.h5")); });
    EXPECT_FALSE(save(saver, world, 5).existed) << times;
    load_and_compare(world, folder.path());
    on_rank_0(world, [&] { flip_bit(folder.path("step_00000005/manifest.json")); });
  }
  EXPECT_EQ(names_in(world, folder.path()), (Strings{"latest", "step_00000005", "step_00000005.damaged-1",
                                                     "step_00000005.damaged-2", "step_00000005.damaged-3"}));
}

TEST(SaveDirectory, WhatAKilledJobLeftIsRemovedAndNothingElse) {
  auto& world = support::world();
  SharedFolder const folder(world);
  on_rank_0(world, [&] {
    create_directory(folder.path("step_00000007.tmp-4711-0"));
    write_bytes(folder.path("step_00000007.tmp-4711-0/rank_00000.h5"), "half");
    write_bytes(folder.path("latest.tmp"), "half");
    create_directory(folder.path("step_00000007.damaged-1"));
    create_directory(folder.path("step_7.tmp"));
    write_bytes(folder.path("notes.tmp"), "mine");
  });
  EXPECT_EQ(after_saving({1}, folder.path(), 2),
            (Strings{"latest", "notes.tmp", "step_00000001", "step_00000007.damaged-1", "step_7.tmp"}));
}

TEST(SaveDirectory, DirectoriesAboveAreMade) {
  SharedFolder const folder(support::world());
  EXPECT_EQ(after_saving({1}, folder.path("a/b/c/"), 2), (Strings{"latest", "step_00000001"}));
}

TEST(SaveDirectory, AFileInItsPlaceIsToldOnAllRanks) {
  auto& world = support::world();
  SharedFolder const folder(world);
  on_rank_0(world, [&] { write_bytes(folder.path("file"), ""); });
  expect_failure(ExitCode::cannot_create, {"file", "File exists"},
                 [&] { Saver(world.duplicate(), {.directory = folder.path("file")}); });
  expect_failure(ExitCode::cannot_create, {"file", "directory"},
                 [&] { Saver(world.duplicate(), {.directory = folder.path("file/below")}); });
}

TEST(SaveDirectory, OneThatGoesAwayIsToldAsSuchWhateverFailedInIt) {
  auto& world = support::world();
  SharedFolder const folder(world);
  Saver saver(world.duplicate(), {.directory = folder.path("a")});
  save(saver, world, 1);
  Strings const words{"saving step 2 failed: '" + folder.path("a'") + " was moved away or removed"};
  auto const move = [&](char const* from, char const* to) {
    on_rank_0(world, [&] { rename_path(folder.path(from), folder.path(to)); });
  };
  move("a", "b");
  expect_failure(ExitCode::cannot_create, words, [&] { save(saver, world, 2); });
  move("b", "a");
  auto const tensors = tensors_at(2);
  Cut cut(tensors, world.rank(), world.size(), 9);
  saver.begin(cut.at(2));
  comm::barrier(world);
  move("a", "b");
  expect_failure(ExitCode::cannot_create, words, [&] { saver.finish(); });
  move("b", "a");
  EXPECT_EQ(save(saver, world, 3).step, 3);
  load_and_compare(world, folder.path("a"));
}

TEST(SaveDirectory, ALockThatWasRemovedIsNoticedByTheNextSave) {
  auto& world = support::world();
  SharedFolder const folder(world);
  Saver first(world.duplicate(), {.directory = folder.path()});
  save(first, world, 1);
  on_rank_0(world, [&] { std::filesystem::remove(folder.path("lock")); });
  expect_failure(ExitCode::cannot_create, {"saving step 2 failed", "lock' was removed or replaced"},
                 [&] { save(first, world, 2); });
  Saver second(world.duplicate(), {.directory = folder.path()});
  save(second, world, 3);
  expect_failure(ExitCode::cannot_create, {"saving step 4 failed", "lock' was removed or replaced"},
                 [&] { save(first, world, 4); });
  EXPECT_EQ(names_in(world, folder.path()), (Strings{"latest", "step_00000001", "step_00000003"}));
}

TEST(SaveDirectory, ASecondJobIsRefusedAndToldWhoseItIs) {
  auto& world = support::world();
  SharedFolder const folder(world);
  {
    Saver const first(world.duplicate(), {.directory = folder.path()});
    expect_failure(ExitCode::cannot_create,
                   {"cannot save into", "process", " on ", "since", "directory of its own"},
                   [&] { Saver(world.duplicate(), {.directory = folder.path()}); });
  }
  Saver const second(world.duplicate(), {.directory = folder.path()});
}

}  // namespace tessera::checkpoint
