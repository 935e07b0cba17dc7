// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A run that is cut and goes on in the same layout is the run that was not cut, bit for bit, in fast mode
// too.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "resuming.hpp"
#include "support/failure.hpp"
#include "support/parallel.hpp"
#include "tessera/checkpoint/loader.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/train/memory.hpp"
#include "tessera/train/node_memory.hpp"
#include "tessera/train/state.hpp"

namespace tessera::train::test {
namespace {

constexpr std::int64_t steps = 4;

/// 6 heads and 61 tokens: tp = 3 is legal, and vocabularies are padded.
RunConfig fast_run(TokenFile const& tokens) {
  auto config = cut_run(tokens);
  config.model.heads = 6;
  config.model.hidden_size = 48;
  config.model.vocab_size = 61;
  config.batch = {16, 2, 24};
  config.parallel.tiles = 0;
  return config;
}

/// Cuts a run of `config` after `cut` steps and compares the rest with `whole`, all steps of the uncut run.
void compare_cut(comm::Communicator& group, RunConfig const& config, Steps const& whole, std::int64_t cut,
                 std::string const& directory) {
  SCOPED_TRACE("cut after step " + std::to_string(cut));
  {
    TrainingRun<float> before(group.duplicate(), config);
    train_until(before, cut);
    save(group, before, directory, cut % 2 == 1);
  }
  TrainingRun<float> after(group.duplicate(), config);
  load(group, after, directory);
  auto const rest = train_until(after, steps);
  auto const skipped = static_cast<std::ptrdiff_t>(whole.numbers.size() - rest.numbers.size());
  EXPECT_EQ(rest.numbers, std::vector(whole.numbers.begin() + skipped, whole.numbers.end()));
  EXPECT_EQ(rest.weights_hash, whole.weights_hash);
}

void compare_layouts(int ranks, std::vector<LayoutCase> const& layouts,
                     std::vector<std::int64_t> const& cuts) {
  TokenFile const tokens(61, 20'000);
  SharedFolder const folder;
  auto const group = support::group_of(ranks);
  if (!group) return;
  int number = support::world().rank() / ranks * 1000;
  for (auto const& layout : layouts) {
    SCOPED_TRACE(layout.name());
    auto const config = layout.applied_to(fast_run(tokens));
    TrainingRun<float> uncut(group->duplicate(), config);
    auto const whole = train_until(uncut, steps);
    for (auto const cut : cuts)
      compare_cut(*group, config, whole, cut, folder.path(std::to_string(number++)));
  }
}

TEST(Resume, OnOneRankIsExactAfterAnyStep) { compare_layouts(1, {{{1, 1, 1}}}, {0, 1, 2, 3, 4}); }

TEST(Resume, OnTwoRanksIsExactInFastMode) {
  compare_layouts(2, {{{2, 1, 1}, true}, {{1, 2, 1}, false, "gpipe", 0, 1, true, "tp,dp,pp", {3, 1}}},
                  {1, 3});
}

TEST(Resume, OnThreeRanksIsExactInFastMode) {
  compare_layouts(3, {{{3, 1, 1}}, {{1, 3, 1}}, {{1, 1, 3}, false, "1f1b", 0, 1}}, {2});
}

TEST(Resume, OnFourRanksIsExactInFastMode) {
  compare_layouts(4, {{{2, 2, 1}, true}, {{2, 1, 2}, false, "1f1b", 2, 1}, {{1, 2, 2}, false, "1f1b", 2}},
                  {2});
}

/// A skipped step counts as a step, not as an update of Adam, whose correction of the moments depends on it.
TEST(Resume, AfterASkippedStepIsExact) {
  TokenFile const tokens(61, 20'000);
  SharedFolder const folder;
  auto const group = support::group_of(2);
  LayoutCase const layout{{1, 2, 1}};
  auto const config = layout.applied_to(fast_run(tokens));
  auto const directory = folder.path(std::to_string(support::world().rank() / 2));
  TrainingRun<float> uncut(group->duplicate(), config);
  auto& trainer = uncut.trainer();
  train_until(uncut, 1);
  float& weight = trainer.stage().store().values()(0);
  float const healthy = weight;
  weight = std::numeric_limits<float>::quiet_NaN();
  train_until(uncut, 2);
  weight = healthy;
  EXPECT_EQ(trainer.state().updates, 1);
  save(*group, uncut, directory);
  auto const rest = train_until(uncut, steps);
  TrainingRun<float> after(group->duplicate(), config);
  load(*group, after, directory);
  EXPECT_EQ(after.trainer().state(), (TrainingState{2, 1, 48}));
  auto const resumed = train_until(after, steps);
  EXPECT_EQ(resumed.numbers, rest.numbers);
  EXPECT_EQ(resumed.weights_hash, rest.weights_hash);
}

/// The masters are what is saved, so nothing is rounded by the way; a run of float32 goes on from them too.
TEST(Resume, InBf16IsExactUnderAnotherLayoutAndFloat32GoesOnFromThere) {
  TokenFile const tokens(61, 20'000);
  SharedFolder const folder;
  auto const group = support::group_of(4);
  auto config = cut_run(tokens);
  config.model.vocab_size = 61;
  config.batch = {16, 2, 32};
  config.training.precision = "bf16";
  auto const first = LayoutCase{{2, 2, 1}, true}.applied_to(config);
  auto second = LayoutCase{{1, 1, 4}, false, "1f1b", 0, 1}.applied_to(config);
  auto const directory = folder.path("half");
  TrainingRun<bf16> uncut(group->duplicate(), first);
  train_until(uncut, 2);
  save(*group, uncut, directory);
  auto const rest = train_until(uncut, steps);
  TrainingRun<bf16> after(group->duplicate(), second);
  load(*group, after, directory);
  auto const resumed = train_until(after, steps);
  EXPECT_EQ(resumed.numbers, rest.numbers);
  EXPECT_EQ(resumed.weights_hash, rest.weights_hash);
  second.training.precision = "float32";
  TrainingRun<float> single(group->duplicate(), second);
  load(*group, single, directory);
  auto const wider = train_until(single, steps);
  EXPECT_NE(wider.weights_hash, rest.weights_hash);
  EXPECT_NEAR(wider.numbers[0], rest.numbers[0], 5e-3 * rest.numbers[0]);
}

TEST(Resume, WithAnotherBatchGoesOnAtTheNextSample) {
  TokenFile const tokens(61, 20'000);
  SharedFolder const folder;
  auto const group = support::group_of(1);
  auto config = fast_run(tokens);
  config.parallel.dp = 1;
  auto const directory = folder.path(std::to_string(support::world().rank()));
  TrainingRun<float> before(group->duplicate(), config);
  train_until(before, 2);
  save(*group, before, directory);
  config.batch.global_batch_size = 6;
  TrainingRun<float> after(group->duplicate(), config);
  load(*group, after, directory);
  EXPECT_EQ(after.trainer().state().position, 2 * 24);
  train_until(after, 3);
  EXPECT_EQ(after.trainer().state().position, 2 * 24 + 6);
}

/// Starts VmHWM anew.
void forget_peak_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }

/// What loading takes beyond the tensors that are loaded into: the buffers of the reader, not the model.
TEST(Resume, TakesTheOwnShardAndABoundedBuffer) {
  TokenFile const tokens(61, 20'000);
  SharedFolder const folder;
  auto const group = support::group_of(4);
  auto config = cut_run(tokens);
  config.model.vocab_size = 40'000;
  config.model.hidden_size = 192;
  config.data.path = tokens.path();
  config.training.steps = 0;
  auto const four = LayoutCase{{4, 1, 1}}.applied_to(config), two = LayoutCase{{2, 2, 1}}.applied_to(config);
  auto const directory = folder.path("large");
  {
    TrainingRun<float> run(group->duplicate(), four);
    save(*group, run, directory, true);
  }
  TrainingRun<float> run(group->duplicate(), two);
  comm::barrier(*group);
  forget_peak_memory();
  [[maybe_unused]] auto const before = peak_resident_bytes();
  AllocationMeter const meter;
  load(*group, run, directory);
  EXPECT_EQ(meter.allocations(), 0u);
#ifndef __SANITIZE_ADDRESS__  // which keeps what was freed
  constexpr std::size_t mebi = 1 << 20;
  // 3 x 31 MiB are loaded; the buffers are 4 MiB, and HDF5 and the manifest need their own.
  EXPECT_LT(peak_resident_bytes() - before, 16 * mebi);
#endif
}

TEST(Resume, ADamagedStateOfTheRunIsRefused) {
  TokenFile const tokens(61, 20'000);
  SharedFolder const folder;
  auto const group = support::group_of(1);
  auto config = fast_run(tokens);
  config.parallel.dp = 1;
  TrainingRun<float> run(group->duplicate(), config);
  int number = 0;
  for (std::string const key : {"updates", "position"}) {
    for (char const* const value : {"-1", "2x", "", "9223372036854775807", "9223372036854775808"}) {
      auto const directory = folder.path(fmt::format("{}.{}", support::world().rank(), ++number));
      checkpoint::Saver saver(group->duplicate(), {.directory = directory});
      auto snapshot = make_snapshot(run.trainer());
      snapshot.state[key] = value;
      saver.begin(snapshot);
      saver.finish();
      auto const loader = checkpoint::Loader::open(*group, directory);
      support::expect_failure(ExitCode::data, {"\"" + key + "\""}, [&] { restore(run.trainer(), loader); });
    }
  }
}

}  // namespace
}  // namespace tessera::train::test
