// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "tessera/train/state.hpp"

namespace tessera::train::test {
namespace {

struct Dealt {
  std::map<std::pair<int, std::string>, std::vector<checkpoint::Box>> boxes;  // by kind and tensor
  std::map<std::string, std::vector<std::int64_t>> shapes;
  std::vector<std::int64_t>
      loads;  // elements of each rank of the stage at hand, all stages one after another
};

Dealt deal(RunConfig const& config, int ranks, std::int64_t smallest) {
  auto const layout = resolve(config, ranks);
  Dealt dealt;
  for (int pp = 0; pp < layout.pp; ++pp) {
    for (int tp = 0; tp < layout.tp; ++tp) {
      for (int dp = 0; dp < layout.dp; ++dp) {
        auto const plan = make_plan(config, layout, {tp, pp, dp});
        Arena parameters("", Arena::Mode::counting), activations("", Arena::Mode::counting);
        model::Stage<float> stage(config.model, plan.specs, plan.stage, parameters, activations);
        auto const& stored = stage.store().parameters();
        auto const own = saved_boxes(stored, layout, plan.place, smallest);
        for (auto const& saved : own) {
          auto const& spec = stored[static_cast<std::size_t>(saved.parameter)].spec;
          dealt.boxes[{saved.kind, spec.name}].push_back(saved.box);
          dealt.shapes[spec.name] = spec.shape;
        }
        dealt.loads.push_back(element_count(own));
      }
    }
  }
  return dealt;
}

RunConfig layout_of(RunConfig config, int tp, int pp, int dp, int tiles) {
  config.parallel.tp = tp;
  config.parallel.pp = pp;
  config.parallel.dp = dp;
  config.parallel.tiles = tiles;
  return config;
}

TEST(SavedBoxes, OfAllRanksCoverEveryTensorOnce) {
  RunConfig config;
  config.model.vocab_size = 251;
  config.batch.global_batch_size = 48;
  std::vector<RunConfig> const runs{layout_of(config, 1, 1, 1, 0), layout_of(config, 2, 1, 1, 8),
                                    layout_of(config, 8, 1, 1, 8), layout_of(config, 4, 2, 2, 8),
                                    layout_of(config, 2, 4, 1, 0), layout_of(config, 1, 1, 3, 0),
                                    layout_of(config, 2, 2, 3, 0), layout_of(config, 1, 4, 8, 8)};
  for (auto const& run : runs) {
    auto const& p = run.parallel;
    SCOPED_TRACE(::testing::PrintToString(std::vector{p.tp, p.pp, p.dp, p.tiles}));
    for (std::int64_t const smallest : {1, 1 << 16}) {
      auto const dealt = deal(run, p.tp * p.pp * p.dp, smallest);
      EXPECT_EQ(dealt.boxes.size(), 3 * dealt.shapes.size());
      EXPECT_EQ(dealt.shapes.size(), make_plan(run, resolve(run, p.tp * p.pp * p.dp), {}).specs.size());
      for (auto const& [name, boxes] : dealt.boxes)
        EXPECT_EQ(checkpoint::problem_of_cover(dealt.shapes.at(name.second), boxes), std::nullopt)
            << name.second;
    }
  }
}

TEST(SavedBoxes, AreSharedOutEvenly) {
  RunConfig config;
  config.model = {.name = "gpt2",
                  .layers = 12,
                  .hidden_size = 768,
                  .heads = 12,
                  .vocab_size = 50257,
                  .max_positions = 1024};
  config.batch.global_batch_size = 256;
  for (auto const& [tp, dp] : {std::pair{1, 1}, {1, 8}, {1, 64}, {4, 4}, {4, 16}}) {
    auto const loads = deal(layout_of(config, tp, 1, dp, 0), tp * dp, 1 << 16).loads;
    auto const total = std::accumulate(loads.begin(), loads.end(), std::int64_t{0});
    auto const most = *std::ranges::max_element(loads);
    EXPECT_EQ(total, 3 * model::parameter_count(config.model));
    EXPECT_LT(static_cast<double>(most) * tp * dp / static_cast<double>(total), 1.1)
        << "tp " << tp << " dp " << dp;
  }
}

TEST(SavedConfig, DifferencesNameTheValueThenAndNow) {
  RunConfig config;
  auto const saved = saved_config(config, resolve(config, 1), 100);
  EXPECT_TRUE(differences(saved, saved).impossible.empty());
  EXPECT_TRUE(differences(saved, saved).allowed.empty());
  config.model.layers = 2;
  config.training.precision = "float64";
  config.optimizer.lr = 0.1;
  config.training.steps = 500;
  auto const found = differences(saved, saved_config(config, resolve(config, 1), 100));
  EXPECT_EQ(found.impossible,
            (std::vector<std::string>{"model.layers: 4 when saved, now 2",
                                      "training.precision: float32 when saved, now float64"}));
  EXPECT_EQ(found.allowed, (std::vector<std::string>{"optimizer.decay_steps: 200 when saved, now 500",
                                                     "optimizer.lr: 0.002 when saved, now 0.1"}));
}

TEST(SavedConfig, OfTheModelOnlyWhatChangesNoTensorMayBeToldToChange) {
  RunConfig config;
  auto const saved = saved_config(config, resolve(config, 1), 100);
  config.model.layers = 2;
  config.model.hidden_dropout = 0.25;
  config.training.precision = "float64";
  auto const now = saved_config(config, resolve(config, 1), 100);
  auto found = differences(saved, now);
  EXPECT_EQ(found.impossible.size(), 3u);
  EXPECT_EQ(found.impossible.front(),
            "model.hidden_dropout: 0 when saved, now 0.25; checkpoint.allow_model_changes goes on with it");
  found = differences(saved, now, true);
  EXPECT_EQ(found.impossible,
            (std::vector<std::string>{"model.layers: 4 when saved, now 2",
                                      "training.precision: float32 when saved, now float64"}));
  EXPECT_EQ(found.allowed, (std::vector<std::string>{"model.hidden_dropout: 0 when saved, now 0.25"}));
}

TEST(SavedConfig, Float32AndHalvesGoOnFromEachOtherAndFloat64FromNone) {
  RunConfig config;
  auto const of = [&](char const* precision) {
    config.training.precision = precision;
    return saved_config(config, resolve(config, 1), 100);
  };
  EXPECT_EQ(differences(of("float32"), of("bf16")).allowed,
            (std::vector<std::string>{"training.precision: float32 when saved, now bf16"}));
  EXPECT_TRUE(differences(of("bf16"), of("float32")).impossible.empty());
  EXPECT_TRUE(differences(of("bf16"), of("fp16")).impossible.empty());
  EXPECT_EQ(of("fp16").at("optimizer.loss_scale"), "auto");
  EXPECT_EQ(differences(of("bf16"), of("float64")).impossible,
            (std::vector<std::string>{"training.precision: bf16 when saved, now float64"}));
}

TEST(SavedConfig, DifferencesShowWhatAFileSaysWithoutControlCharactersAndShortened) {
  checkpoint::Values const now{{"model.layers", "4"}};
  checkpoint::Values saved{{"model.layers", "\x1b[2J"}, {"data.path", std::string(900'000, 'x')}};
  auto found = differences(saved, now);
  EXPECT_EQ(found.impossible, (std::vector<std::string>{"model.layers: \\x1B[2J when saved, now 4"}));
  EXPECT_EQ(found.allowed, (std::vector<std::string>{"data.path: " + std::string(80, 'x') +
                                                     "... (900000 bytes) when saved, now not set"}));
  for (int k = 0; k < 1000; ++k) saved["other." + std::to_string(k)] = "1";
  found = differences(saved, now);
  EXPECT_EQ(found.allowed.size(), 51u);
  EXPECT_EQ(found.allowed.back(), "and 951 more");
}

}  // namespace
}  // namespace tessera::train::test
