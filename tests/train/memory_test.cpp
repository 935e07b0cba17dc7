// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/memory.hpp"

#include <gtest/gtest.h>

#include "resuming.hpp"
#include "support/parallel.hpp"
#include "tessera/checkpoint/saver.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/train/node_memory.hpp"
#include "tessera/train/state.hpp"

namespace tessera::train::test {
namespace {

/// The whole life of a trainer: set-up, steps, validation, sampling.
template <class T>
double peak_against_prediction(comm::Communicator& group, RunConfig const& config) {
  AllocationMeter const meter;
  TrainingRun<T> run(group.duplicate(), config);
  auto const predicted = predict_memory(config, run.trainer().plan()).total_bytes();
  EXPECT_GT(predicted, 0u);
  for (int step = 0; step < 2; ++step) run.trainer().step();
  run.trainer().validate();
  run.trainer().sample({1}, 2, 0.8);
  return static_cast<double>(meter.peak_bytes()) / static_cast<double>(predicted);
}

/// The peak of each layout that there are ranks for, by numbers of tiles, is within ten percent of its
/// prediction.
template <class T>
void expect_predicted(RunConfig config, std::vector<int> const& tiles,
                      std::vector<LayoutCase> const& layouts) {
  for (int const count : tiles) {
    config.parallel.tiles = count;
    for (auto const& layout : layouts) {
      auto const group = support::group_of(layout.shape.size());
      if (!group) continue;
      SCOPED_TRACE(layout.name() + " tiles " + std::to_string(count));
      double const ratio = peak_against_prediction<T>(*group, layout.applied_to(config));
      EXPECT_GT(ratio, 0.9);
      EXPECT_LT(ratio, 1.1);
    }
  }
}

/// A model beside whose tensors what is always there is small. Ids of `tokens` are below 251.
RunConfig wider_run(TokenFile const& tokens) {
  auto config = small_run(tokens);
  config.model.vocab_size = 251;
  config.model.hidden_size = 128;
  config.model.max_positions = 64;
  config.batch = {64, 2, 16};
  return config;
}

TEST(Memory, PeakIsWithinTenPercentOfThePrediction) {
  TokenFile const tokens(251, 40'000);
  expect_predicted<float>(wider_run(tokens), {8, 0},
                          {{{1, 1, 1}},
                           {{2, 1, 1}},
                           {{2, 1, 1}, true},
                           {{1, 2, 1}, false, "gpipe"},
                           {{1, 1, 2}},
                           {{4, 1, 1}, true},
                           {{2, 2, 1}, true},
                           {{2, 1, 2}},
                           {{1, 2, 2}, false, "1f1b", 2, 1 << 16}});
}

/// Of a model that is small beside them.
TEST(Memory, BlocksOfThePlainProductAreCounted) {
  TokenFile const tokens(251, 40'000);
  auto config = small_run(tokens);
  config.model.vocab_size = 251;
  config.parallel.matmul = "plain";
  expect_predicted<float>(config, {0}, {{{1, 1, 1}}});
  config.training.precision = "float64";
  expect_predicted<double>(config, {0}, {{{1, 1, 1}}});
}

/// The gradients of replicated tensors, the positions first of all, are the largest sum over tp then.
TEST(Memory, WithMorePositionsThanRowsIsWithinTenPercentOfThePrediction) {
  TokenFile const tokens(251, 40'000);
  auto config = small_run(tokens);
  config.model.vocab_size = 251;
  config.model.layers = 1;
  config.model.hidden_size = 64;
  config.model.max_positions = 2048;
  config.batch = {32, 1, 8};
  expect_predicted<float>(config, {8, 0}, {{{2, 1, 1}, true}, {{4, 1, 1}, true}});
}

/// In fast mode too the sums of ranks on one node take scratch, which is most where the model is small.
TEST(Memory, InBf16IsWithinTenPercentOfThePrediction) {
  TokenFile const tokens(251, 40'000);
  auto config = wider_run(tokens);
  config.training.precision = "bf16";
  expect_predicted<bf16>(config, {config.parallel.tiles},
                         {{{1, 1, 1}}, {{2, 1, 1}, true}, {{1, 2, 1}, false, "gpipe"}, {{2, 1, 2}}});
}

TEST(Memory, OfASmallModelInFastModeIsWithinTenPercent) {
  TokenFile const tokens(61, 40'000);
  auto config = small_run(tokens);
  expect_predicted<float>(config, {0}, {{{2, 1, 1}}, {{1, 1, 2}}, {{1, 1, 4}}});
}

TEST(Memory, OfTheCopiesOfASaveIsWhatWasPredicted) {
  TokenFile const tokens(251, 40'000);
  SharedFolder const folder;
  auto config = small_run(tokens);
  config.model.vocab_size = 251;
  config.checkpoint.save = folder.path("ck");
  for (int const ranks_per_file : {1, 4}) {
    config.checkpoint.ranks_per_file = ranks_per_file;
    for (LayoutCase const& layout : {LayoutCase{{2, 2, 1}}, LayoutCase{{2, 1, 2}}}) {
      SCOPED_TRACE(layout.name() + " ranks per file " + std::to_string(ranks_per_file));
      auto const group = support::group_of(4);
      auto const applied = layout.applied_to(config);
      TrainingRun<float> run(group->duplicate(), applied);
      auto const own = predict_memory(applied, run.trainer().plan()).bytes_of(checkpoint_copies);
      auto const predicted = comm::all_reduce_value(*group, own, comm::Op::max);
      checkpoint::Saver saver(group->duplicate(),
                              {.directory = config.checkpoint.save, .ranks_per_file = ranks_per_file});
      EXPECT_EQ(saver.copy_bytes(), 0u);
      saver.reserve(make_snapshot(run.trainer()));
      auto const used = comm::all_reduce_value(*group, saver.copy_bytes(), comm::Op::max);
      EXPECT_NEAR(static_cast<double>(used), static_cast<double>(predicted),
                  0.1 * static_cast<double>(predicted));
    }
  }
}

TEST(Memory, EveryMicrobatchUnderWayTakesTheSame) {
  RunConfig config;
  config.parallel.schedule = "gpipe";
  for (int const microbatches : {1, 2, 3, 8}) {
    config.batch.global_batch_size = 2 * microbatches;
    auto const plan = make_plan(config, resolve(config, 1), {});
    ASSERT_EQ(plan.stage.slots, microbatches);
    Arena parameters("", Arena::Mode::counting), activations("", Arena::Mode::counting);
    model::Stage<float> stage(config.model, plan.specs, plan.stage, parameters, activations);
    auto const prediction = predict_memory(config, plan);
    ASSERT_EQ(prediction.items[1].name, "activations");
    EXPECT_EQ(prediction.items[1].bytes, activations.used_bytes());
  }
}

TEST(Memory, PredictionCountsDoublesTwice) {
  RunConfig config;
  auto const layout = resolve(config, 1);
  auto const narrow = predict_memory(config, make_plan(config, layout, {})).total_bytes();
  config.training.precision = "float64";
  auto const wide = predict_memory(config, make_plan(config, layout, {})).total_bytes();
  EXPECT_NEAR(static_cast<double>(wide) / static_cast<double>(narrow), 2, 0.01);
}

/// Master weights, two moments and the gradients of float32, and weights of bf16.
TEST(Memory, Bf16KeepsFloat32MastersAndHalvesActivations) {
  RunConfig config;
  auto const layout = resolve(config, 1);
  auto const single = predict_memory(config, make_plan(config, layout, {}));
  config.training.precision = "bf16";
  auto const half = predict_memory(config, make_plan(config, layout, {}));
  auto const ratio = [&](std::string_view item) {
    return static_cast<double>(half.bytes_of(item)) / static_cast<double>(single.bytes_of(item));
  };
  EXPECT_GT(ratio("parameters, gradients, moments"), 1.0);
  EXPECT_LT(ratio("parameters, gradients, moments"), 1.125);
  EXPECT_GT(ratio("activations"), 0.5);
  EXPECT_LT(ratio("activations"), 0.7);
  EXPECT_EQ(half.bytes_of("attention kernel"), single.bytes_of("attention kernel"));
  EXPECT_EQ(single.bytes_of("matrix products"), 0u);
  EXPECT_EQ(half.bytes_of("matrix products"), kernels::matmul_scratch_bytes("auto", DType::bf16));
}

TEST(Memory, RanksUnderOneLimitAddUpWhatTheyNeed) {
  auto& node = support::world();
  auto const ranks = static_cast<std::size_t>(node.size());
  std::size_t const needs = 10 * (static_cast<std::size_t>(node.rank()) + 1);
  std::size_t const all = 10 * ranks * (ranks + 1) / 2;

  auto const shared = fit_in_node(node, needs, {{"wide", 2, 1 << 20}, {"narrow", 3, all - 1}});
  ASSERT_TRUE(shared);
  EXPECT_EQ(shared->limit, "narrow");
  EXPECT_EQ(shared->ranks, node.size());
  EXPECT_EQ(shared->needs_bytes, all);
  EXPECT_FALSE(shared->enough());
  EXPECT_TRUE(fit_in_node(node, needs, {{"", 3, all}})->enough());

  auto const own_group = static_cast<std::uint64_t>(100 + node.rank());
  for (auto const id : {own_group, std::uint64_t{0}}) {
    auto const own = fit_in_node(node, needs, {{"wide", 2, 1 << 20}, {"own", id, needs}});
    EXPECT_EQ(own->limit, "own");
    EXPECT_EQ(own->ranks, 1);
    EXPECT_TRUE(own->enough());
  }
  EXPECT_FALSE(fit_in_node(node, needs, {}));
}

}  // namespace
}  // namespace tessera::train::test
