// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/checkpoint/loader.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "run.hpp"
#include "support/parallel.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/steps.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::checkpoint {

namespace {

using namespace test;

/// A directory with steps 1 to `steps`.
void save_steps(std::string const& directory, std::int64_t steps) {
  auto& world = support::world();
  Saver saver(world.duplicate(), {.directory = directory, .keep = 0});
  for (std::int64_t step = 1; step <= steps; ++step) save(saver, world, step);
}

Loader open(std::string const& path) { return Loader::open(support::world(), path); }

}  // namespace

TEST(Loader, TakesTheNewestStepThatIsWholeAndSaysWhyNotOthers) {
  auto& world = support::world();
  SharedFolder const folder(world);
  save_steps(folder.path(), 5);
  on_rank_0(world, [&] {
    flip_bit(folder.path("step_00000005/manifest.json"));
    flip_bit(folder.path("step_00000004/rank_00000.h5"));
    std::filesystem::remove(folder.path("step_00000003/model.h5"));
    create_directory(folder.path("step_00000006"));
    create_directory(folder.path("step_00000009.tmp-1"));
  });
  auto const loader = load_and_compare(world, folder.path());
  EXPECT_EQ(loader.manifest().step, 2);
  ASSERT_EQ(loader.skipped().size(), 4u);
  std::vector<std::string> const reasons{"manifest.json", "manifest.json", "rank_00000.h5", "model.h5"};
  for (std::size_t k = 0; k < reasons.size(); ++k) {
    auto const& [directory, reason] = loader.skipped()[k];
    EXPECT_EQ(directory, folder.path(step_name(6 - static_cast<std::int64_t>(k))));
    EXPECT_NE(reason.find(reasons[k]), std::string::npos) << reason;
  }
}

TEST(Loader, EveryReasonIsToldWhenNoStepIsWhole) {
  auto& world = support::world();
  SharedFolder const folder(world);
  save_steps(folder.path(), 2);
  on_rank_0(world, [&] {
    flip_bit(folder.path("step_00000001/model.h5"));
    std::filesystem::resize_file(folder.path("step_00000002/rank_00000.h5"), 1000);
  });
  expect_failure(ExitCode::data, {"step_00000001: ", "model.h5", "step_00000002: ", "found 1000"},
                 [&] { open(folder.path()); });
  expect_failure(ExitCode::data, {"step_00000001", "model.h5"}, [&] { open(folder.path("step_00000001")); });
}

TEST(Loader, WhereverTheBitIsItIsNoticed) {
  auto& world = support::world();
  SharedFolder const folder(world);
  save_steps(folder.path(), 1);
  auto const step = folder.path("step_00000001");
  for (auto const& name : list_directory(step)) {
    auto const path = path_in(step, name);
    auto const bytes = read_bytes(path);
    for (std::size_t part = 0; part < 3; ++part) {
      auto const at = part * (bytes.size() - 1) / 2;
      on_rank_0(world, [&] {
        auto changed = bytes;
        changed[at] ^= 1;
        write_bytes(path, changed);
      });
      expect_failure(ExitCode::data, {name}, [&] { open(folder.path()); });
    }
    on_rank_0(world, [&] { write_bytes(path, bytes); });
  }
  load_and_compare(world, folder.path());
}

TEST(Loader, FilesOfOtherRanksAndStepsAreNoticed) {
  auto& world = support::world();
  SharedFolder const folder(world);
  save_steps(folder.path(), 2);
  on_rank_0(world, [&] {
    std::filesystem::copy_file(folder.path("step_00000001/rank_00000.h5"),
                               folder.path("step_00000002/rank_00000.h5"),
                               std::filesystem::copy_options::overwrite_existing);
  });
  EXPECT_EQ(load_and_compare(world, folder.path()).manifest().step, 1);
  on_rank_0(world, [&] {
    std::filesystem::remove_all(folder.path("step_00000002"));
    std::filesystem::rename(folder.path("step_00000001"), folder.path("step_00000002"));
  });
  expect_failure(ExitCode::data, {"step 1, in the directory of another step"}, [&] { open(folder.path()); });
}

TEST(Loader, LatestIsTrustedByNothing) {
  auto& world = support::world();
  SharedFolder const folder(world);
  save_steps(folder.path(), 2);
  for (auto const* const text : {"step_00000077\n", "step_00000001\n", "../../etc", ""}) {
    on_rank_0(world, [&] { write_bytes(folder.path("latest"), text); });
    EXPECT_EQ(open(folder.path()).manifest().step, 2);
  }
}

TEST(Loader, AStepIsLoadedByItsOwnName) {
  auto& world = support::world();
  SharedFolder const folder(world);
  save_steps(folder.path(), 2);
  EXPECT_EQ(load_and_compare(world, folder.path("step_00000001/")).manifest().step, 1);
  on_rank_0(world, [&] { std::filesystem::rename(folder.path("step_00000002"), folder.path("mine")); });
  EXPECT_EQ(load_and_compare(world, folder.path("mine")).manifest().step, 2);
}

TEST(Loader, NothingToLoadIsMissingInput) {
  auto& world = support::world();
  SharedFolder const folder(world);
  expect_failure(ExitCode::no_input, {"no checkpoint directory", "absent"},
                 [&] { open(folder.path("absent")); });
  expect_failure(ExitCode::no_input, {"no checkpoint in"}, [&] { open(folder.path()); });
  expect_failure(ExitCode::data, {"manifest.json", "No such file"}, [&] {
    on_rank_0(world, [&] { create_directory(folder.path("step_00000001")); });
    open(folder.path());
  });
  on_rank_0(world, [&] { write_bytes(folder.path("file"), ""); });
  expect_failure(ExitCode::no_input, {"not a directory"}, [&] { open(folder.path("file")); });
  EXPECT_FALSE(Loader::any_step(folder.path("absent")));
  EXPECT_TRUE(Loader::any_step(folder.path()));
}

TEST(Loader, DifferencesAreListedUpToTen) {
  auto& world = support::world();
  SharedFolder const folder(world);
  save_steps(folder.path(), 1);
  auto const loader = open(folder.path());
  std::vector<TensorEntry> wanted;
  for (auto const& tensor : sample_tensors()) wanted.push_back(tensor.entry);
  EXPECT_TRUE(loader.differences(wanted).empty());
  wanted[0].shape = {37, 25};
  wanted[1].dtype = DType::f64;
  wanted.pop_back();
  wanted.push_back({"new", DType::f32, {1}});
  EXPECT_EQ(loader.differences(wanted),
            (std::vector<std::string>{
                "'embedding.weight' is f32 (37, 24) in the checkpoint, f32 (37, 25) here",
                "'layers.0.attention.qkv' is f32 (3, 4, 6, 8) in the checkpoint, f64 (3, "
                "4, 6, 8) here",
                "'new' is missing in the checkpoint", "'ieee_halves' is in the checkpoint, but not here"}));
  for (int k = 0; k < 20; ++k) wanted.push_back({fmt::format("new.{}", k), DType::f32, {1}});
  EXPECT_EQ(loader.differences(wanted).size(), 11u);
  EXPECT_EQ(loader.differences(wanted).back(), "and 14 more");
}

TEST(Loader, ATensorThatIsAnotherThanTheReaderThinksIsRefused) {
  auto& world = support::world();
  SharedFolder const folder(world);
  save_steps(folder.path(), 1);
  auto const loader = open(folder.path());
  std::array<std::byte, 64> memory{};
  auto const read = [&](std::string const& name, DType dtype, std::vector<std::int64_t> const& shape) {
    std::array const slices{Slice{name, dtype, shape, row_major(memory.data(), {{0, 0}, {1, 1}})}};
    loader.read(slices);
  };
  expect_failure(ExitCode::data, {"no tensor 'none'"}, [&] { read("none", DType::f32, {37, 24}); });
  expect_failure(ExitCode::data, {"f32 (37, 24), but f64 (37, 24) is wanted"}, [&] {
    read("embedding.weight", DType::f64, {37, 24});
  });
  expect_failure(ExitCode::data, {"f32 (24, 37) is wanted"}, [&] {
    read("embedding.weight", DType::f32, {24, 37});
  });
}

TEST(Steps, NamesAreReadOneWayOnly) {
  EXPECT_EQ(step_name(100), "step_00000100");
  EXPECT_EQ(step_name(1234567890123), "step_1234567890123");
  for (std::int64_t const step : {0L, 7L, 99999999L, 100000000L, 9223372036854775807L}) {
    EXPECT_EQ(parse_step_name(step_name(step)), step);
  }
  for (auto const* name :
       {"step_", "step_1", "step_0000010", "step_000000100", "step_-0000001", "step_0000010x",
        "step_00000100.tmp-1", "Step_00000100", "step_99999999999999999999", ""}) {
    EXPECT_FALSE(parse_step_name(name)) << name;
  }
}

}  // namespace tessera::checkpoint
