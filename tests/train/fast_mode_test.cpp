// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// One tile a rank and the backend's own sums (--tiles auto): near the serial run, and the same bits whenever
// the same layout is run again.
#include <gtest/gtest.h>

#include "layouts.hpp"
#include "support/parallel.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::train::test {
namespace {

constexpr int steps = 4;

/// 6 heads and a hidden size of 48, so that tp = 3 is legal; the 61 tokens need padding for 2, 3 and 4 tiles.
RunConfig fast_run(TokenFile const& tokens) {
  auto config = small_run(tokens);
  config.model.heads = 6;
  config.model.hidden_size = 48;
  config.model.vocab_size = 61;
  config.batch = {12, 2, 24};
  config.parallel.tiles = 0;
  return config;
}

/// Losses and gradient norms step by step, then the validation loss.
struct Curve {
  std::vector<double> numbers;
  std::uint64_t weights_hash = 0;
};

Curve train(comm::Communicator& group, RunConfig const& config) {
  TrainingRun<float> run(group.duplicate(), config);
  Curve curve;
  for (int step = 0; step < steps; ++step) {
    auto const report = run.trainer().step();
    curve.numbers.push_back(report.loss);
    curve.numbers.push_back(report.grad_norm);
    if (step == 0) expect_forecast_traffic(run);
  }
  curve.numbers.push_back(run.trainer().validate());
  curve.weights_hash = run.trainer().weights_hash();
  return curve;
}

/// All layouts of `ranks` ranks against the serial run of the same rank.
void compare_layouts(int ranks, std::vector<LayoutCase> const& layouts) {
  TokenFile const tokens(61, 20'000);
  auto const config = fast_run(tokens);
  auto const group = support::group_of(ranks), alone = support::group_of(1);
  if (!group) return;
  auto serial_config = config;
  serial_config.parallel.dp = 1;
  auto const serial = train(*alone, serial_config);
  for (auto const& layout : layouts) {
    SCOPED_TRACE(layout.name());
    auto const first = train(*group, layout.applied_to(config)),
               second = train(*group, layout.applied_to(config));
    EXPECT_EQ(first.numbers, second.numbers);
    EXPECT_EQ(first.weights_hash, second.weights_hash);
    for (std::size_t i = 0; i < serial.numbers.size(); ++i) {
      EXPECT_NEAR(first.numbers[i] / serial.numbers[i], 1, 1e-4) << "number " << i;
    }
  }
}

TEST(FastMode, OnTwoRanksIsNearTheSerialRunAndRepeatsItself) {
  compare_layouts(2, {{{2, 1, 1}}, {{2, 1, 1}, true}, {{1, 2, 1}}, {{1, 1, 2}, false, "1f1b", 0, 1}});
}

TEST(FastMode, OnThreeRanksIsNearTheSerialRunAndRepeatsItself) {
  compare_layouts(3, {{{3, 1, 1}}, {{3, 1, 1}, true}, {{1, 3, 1}, false, "gpipe"}, {{1, 1, 3}}});
}

TEST(FastMode, OnFourRanksIsNearTheSerialRunAndRepeatsItself) {
  compare_layouts(4, {{{2, 2, 1}, true},
                      {{2, 1, 2}, false, "1f1b", 2, 1},
                      {{1, 2, 2}, false, "gpipe", 2, 1},
                      {{1, 1, 4}, false, "1f1b", 2, 1, false}});
}

}  // namespace
}  // namespace tessera::train::test
