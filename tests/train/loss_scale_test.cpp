// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "resuming.hpp"
#include "support/failure.hpp"
#include "support/parallel.hpp"
#include "tessera/checkpoint/loader.hpp"
#include "tessera/checkpoint/saver.hpp"
#include "tessera/train/state.hpp"

namespace tessera::train::test {
namespace {

RunConfig scaled(RunConfig config, std::int64_t loss_scale) {
  config.optimizer.loss_scale = loss_scale;
  return config;
}

/// Scales that change every few steps.
RunConfig lively(RunConfig config) {
  config.optimizer.loss_scale = 0;
  config.optimizer.initial_loss_scale = optim::largest_loss_scale;
  config.optimizer.loss_scale_window = 2;
  return config;
}

TEST(LossScaling, WithAnyPowerOfTwoGivesTheBitsOfNone) {
  TokenFile const tokens(64, 20'000);
  for (auto const& layout : {LayoutCase{{2, 1, 2}, true}, LayoutCase{{2, 2, 1}}}) {
    SCOPED_TRACE(layout.name());
    auto const group = support::group_of(layout.shape.size());
    auto config = layout.applied_to(cut_run(tokens));
    config.optimizer.clip_grad = 0.5;  // of a norm that is larger, so that it counts
    TrainingRun<float> plain(group->duplicate(), config);
    auto const expected = train_until(plain, 4);
    auto changing = scaled(config, 0);
    changing.optimizer.loss_scale_window = 1;
    for (auto const& with : {scaled(config, 2), scaled(config, 1 << 16), changing}) {
      TrainingRun<float> run(group->duplicate(), with);
      auto const found = train_until(run, 4);
      EXPECT_EQ(found.numbers, expected.numbers);
      EXPECT_EQ(found.weights_hash, expected.weights_hash);
      EXPECT_EQ(run.trainer().state().updates, 4);
    }
  }
}

/// Gradients of a model with a huge last norm are beyond float32 at large scales, while its loss is not.
void enlarge_gradients(TrainingRun<float>& run) {
  auto const& store = run.trainer().stage().store();
  for (params::ParameterId id = 0; id < static_cast<params::ParameterId>(store.parameters().size()); ++id) {
    if (store[id].spec.name == "final_norm.gamma") Kokkos::deep_copy(store.value(id, 0), 1e25F);
  }
}

/// What a step shows of its loss scale, and what it ends with.
struct Course {
  std::vector<double> scales, losses;
  std::vector<bool> overflowed;
  std::uint64_t weights_hash = 0;

  bool operator==(Course const&) const = default;
};

template <class T>
Course course_of(TrainingRun<T>& run, std::int64_t last) {
  Course course;
  while (run.trainer().steps_done() < last) {
    auto const report = run.trainer().step();
    EXPECT_EQ(report.skipped, report.overflowed);
    course.scales.push_back(report.loss_scale);
    course.losses.push_back(report.loss);
    course.overflowed.push_back(report.overflowed);
  }
  course.weights_hash = run.trainer().weights_hash();
  return course;
}

constexpr std::int64_t long_enough = 30;

TEST(LossScaling, OverflowsHalveTheScaleAndSkipTheStepOnAllRanksOfAnyLayout) {
  TokenFile const tokens(64, 20'000);
  auto const config = lively(cut_run(tokens));
  TrainingRun<float> alone(support::group_of(1)->duplicate(), LayoutCase{{1, 1, 1}}.applied_to(config));
  enlarge_gradients(alone);
  auto const expected = course_of(alone, long_enough);
  auto const& overflowed = expected.overflowed;
  EXPECT_TRUE(overflowed.front());
  for (std::size_t i = 1; i < expected.scales.size() && overflowed[i - 1]; ++i)
    EXPECT_EQ(expected.scales[i], expected.scales[i - 1] / 2);
  EXPECT_GT(alone.trainer().state().updates, 1);
  EXPECT_EQ(alone.trainer().state().updates, std::ranges::count(overflowed, false));
  for (auto const& layout : {LayoutCase{{2, 1, 2}, true}, LayoutCase{{2, 2, 1}}, LayoutCase{{1, 2, 2}}}) {
    SCOPED_TRACE(layout.name());
    TrainingRun<float> run(support::group_of(4)->duplicate(), layout.applied_to(config));
    enlarge_gradients(run);
    EXPECT_EQ(course_of(run, long_enough), expected);
  }
}

/// As users have it: without a word about the scale, which begins far beyond what gradients in fp16 allow.
TEST(LossScaling, OfFp16ComesDownByItselfAndTrainsTheSameInAnyLayout) {
  TokenFile const tokens(64, 20'000);
  auto config = cut_run(tokens);
  config.training.precision = "fp16";
  TrainingRun<f16> alone(support::group_of(1)->duplicate(), LayoutCase{{1, 1, 1}}.applied_to(config));
  auto const expected = course_of(alone, long_enough);
  EXPECT_EQ(expected.scales.front(), 0x1p32);
  EXPECT_TRUE(expected.overflowed.front());
  EXPECT_FALSE(expected.overflowed.back());
  EXPECT_EQ(expected.scales.back(), 0x1p32 / std::exp2(std::ranges::count(expected.overflowed, true)));
  EXPECT_LT(expected.losses.back(), expected.losses.front() - 0.1);
  for (auto const& layout : {LayoutCase{{2, 1, 2}, true}, LayoutCase{{2, 2, 1}}}) {
    SCOPED_TRACE(layout.name());
    TrainingRun<f16> run(support::group_of(4)->duplicate(), layout.applied_to(config));
    EXPECT_EQ(course_of(run, long_enough), expected);
  }
}

TEST(LossScaling, GoesOnWhereARunWasCutInAnyLayout) {
  TokenFile const tokens(64, 20'000);
  SharedFolder const folder;
  auto const group = support::group_of(4);
  auto const config = lively(cut_run(tokens));
  auto const one = LayoutCase{{2, 2, 1}}.applied_to(config), other = LayoutCase{{2, 1, 2}}.applied_to(config);
  for (auto const cut : {std::int64_t{3}, long_enough - 1}) {
    SCOPED_TRACE(cut);
    auto const directory = folder.path(std::to_string(cut));
    TrainingRun<float> uncut(group->duplicate(), one);
    enlarge_gradients(uncut);
    course_of(uncut, cut);
    save(*group, uncut, directory);
    auto const rest = course_of(uncut, long_enough + 2);
    TrainingRun<float> after(group->duplicate(), other);
    load(*group, after, directory);
    EXPECT_EQ(course_of(after, long_enough + 2), rest);
  }
}

TEST(LossScaling, OfACheckpointWithoutItBeginsAtItsBeginningAndADamagedOneIsRefused) {
  TokenFile const tokens(64, 20'000);
  SharedFolder const folder;
  auto const group = support::group_of(1);
  auto const config = LayoutCase{{1, 1, 1}}.applied_to(cut_run(tokens));
  TrainingRun<float> plain(group->duplicate(), config);
  train_until(plain, 2);
  auto const mine = std::to_string(support::world().rank());
  save(*group, plain, folder.path(mine));
  TrainingRun<float> run(group->duplicate(), lively(config));
  load(*group, run, folder.path(mine));
  EXPECT_EQ(run.trainer().state().loss_scale, (optim::LossScaleState{optim::largest_loss_scale, 0}));
  int number = 0;
  for (auto const& [key, value] :
       {std::pair("loss_scale", "0"), std::pair("loss_scale", "3"),
        std::pair("loss_scale", "2305843009213693952"), std::pair("loss_scale_clean_updates", "3")}) {
    auto const directory = folder.path(mine + "." + std::to_string(++number));
    checkpoint::Saver saver(group->duplicate(), {.directory = directory});
    auto snapshot = make_snapshot(run.trainer());
    snapshot.state[key] = value;
    saver.begin(snapshot);
    saver.finish();
    auto const loader = checkpoint::Loader::open(*group, directory);
    support::expect_failure(ExitCode::data, {"\"" + std::string(key) + "\""},
                            [&] { restore(run.trainer(), loader); });
  }
}

}  // namespace
}  // namespace tessera::train::test
