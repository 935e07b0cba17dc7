// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/memory.hpp"

#include <gtest/gtest.h>

#include "layouts.hpp"
#include "support/parallel.hpp"

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

TEST(Memory, PeakIsWithinTenPercentOfThePrediction) {
  TokenFile const tokens(251, 40'000);
  auto config = small_run(tokens);
  config.model.vocab_size = 251;
  config.model.hidden_size = 128;
  config.model.max_positions = 64;
  config.batch = {64, 2, 16};
  std::vector<LayoutCase> const layouts{{{1, 1, 1}},
                                        {{2, 1, 1}},
                                        {{2, 1, 1}, true},
                                        {{1, 2, 1}, false, "gpipe"},
                                        {{1, 1, 2}},
                                        {{4, 1, 1}, true},
                                        {{2, 2, 1}, true},
                                        {{2, 1, 2}},
                                        {{1, 2, 2}, false, "1f1b", 2, 1 << 16}};
  for (int const tiles : {8, 0}) {
    config.parallel.tiles = tiles;
    for (auto const& layout : layouts) {
      auto const group = support::group_of(layout.shape.size());
      if (!group) continue;
      SCOPED_TRACE(layout.name() + " tiles " + std::to_string(tiles));
      double const ratio = peak_against_prediction<float>(*group, layout.applied_to(config));
      EXPECT_GT(ratio, 0.9);
      EXPECT_LT(ratio, 1.1);
      if (support::world().rank() == 0) {
        RecordProperty("tp" + std::to_string(layout.shape.tp) + "pp" + std::to_string(layout.shape.pp) +
                           "dp" + std::to_string(layout.shape.dp) + (layout.sequence_parallel ? "sp" : "") +
                           "tiles" + std::to_string(tiles),
                       std::to_string(ratio));
      }
    }
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

TEST(Memory, OfThisMachineIsKnown) {
  EXPECT_GT(available_bytes(1), available_bytes(2));
  EXPECT_GT(peak_resident_bytes(), std::size_t{1} << 20);
}

}  // namespace
}  // namespace tessera::train::test
