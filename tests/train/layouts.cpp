// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "layouts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "support/parallel.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/train/forecast.hpp"

namespace tessera::train::test {

namespace {

constexpr int steps = 3;
constexpr int sampled_tokens = 5;

template <class V>
void share(std::vector<V>& values, int root) {
  auto& world = support::world();
  values.resize(comm::broadcast_value(world, static_cast<std::uint64_t>(values.size()), root));
  comm::broadcast(world, values, root).wait_host();
}

/// `after_first_step` sees the gradients and messages of step 1.
template <class T, class Look>
Outcome train(TrainingRun<T>& run, Look const& after_first_step) {
  auto& trainer = run.trainer();
  Outcome outcome;
  for (int step = 1; step <= steps; ++step) {
    auto const report = trainer.step();
    outcome.losses.push_back(report.loss);
    outcome.gradient_norms.push_back(report.grad_norm);
    EXPECT_FALSE(report.skipped);
    if (step == 1) after_first_step();
    if (step != 2) outcome.validation_losses.push_back(trainer.validate());
  }
  outcome.weights_hash = {trainer.weights_hash()};
  outcome.text = trainer.sample({1, 2, 3}, sampled_tokens, 0.8);
  return outcome;
}

/// Trains on one rank of the world and tells all others what came out.
template <class T>
Reference<T> run_on_one_rank(RunConfig config) {
  config.parallel.tp = config.parallel.pp = config.parallel.dp = 1;
  Reference<T> reference;
  bool const mine = support::world().rank() == 0;
  if (auto alone = support::world().split(mine ? std::optional(0) : std::nullopt, 0)) {
    TrainingRun<T> run(std::move(alone), config);
    reference.outcome = train(run, [&] { reference.first_gradients = run.image(Kind::gradient); });
    reference.weights = run.image(Kind::value);
  }
  auto& [losses, norms, validation, hash, text] = reference.outcome;
  for (auto* numbers : {&losses, &norms, &validation}) share(*numbers, 0);
  share(hash, 0);
  share(text, 0);
  share(reference.first_gradients, 0);
  share(reference.weights, 0);
  return reference;
}

std::vector<std::uint64_t> bits(std::vector<double> const& values) {
  std::vector<std::uint64_t> result;
  for (double const value : values) result.push_back(std::bit_cast<std::uint64_t>(value));
  return result;
}

void expect_equal(Outcome const& outcome, Outcome const& expected) {
  EXPECT_EQ(bits(outcome.losses), bits(expected.losses))
      << "losses " << ::testing::PrintToString(outcome.losses) << " against "
      << ::testing::PrintToString(expected.losses);
  EXPECT_EQ(bits(outcome.gradient_norms), bits(expected.gradient_norms));
  EXPECT_EQ(bits(outcome.validation_losses), bits(expected.validation_losses));
  EXPECT_EQ(outcome.weights_hash, expected.weights_hash);
  EXPECT_EQ(outcome.text, expected.text);
}

template <class T>
void compare_layout(std::unique_ptr<comm::Communicator> group, RunConfig const& config,
                    Reference<T> const& reference) {
  TrainingRun<T> run(std::move(group), config);
  auto const outcome = train(run, [&] {
    EXPECT_EQ(run.difference(Kind::gradient, reference.first_gradients), "") << "after step 1";
    expect_forecast_traffic(run);
  });
  expect_equal(outcome, reference.outcome);
  EXPECT_EQ(run.difference(Kind::value, reference.weights), "") << "after step " << steps;
}

std::string recorded(comm::AxisTotals const& totals) {
  std::string text;
  for (std::size_t i = 0; i < comm::operation_count; ++i) {
    auto const& one = totals.by_operation[i];
    if (one.calls == 0) continue;
    text += fmt::format("{} x{} {} bytes; ", comm::to_string(static_cast<comm::Operation>(i)), one.calls,
                        one.bytes);
  }
  return text;
}

/// The forecast in the form of `recorded`.
std::string forecast(std::vector<Traffic> const& rows, std::string_view axis) {
  comm::AxisTotals sums;
  for (auto const& row : rows) {
    if (row.axis != axis) continue;
    for (std::size_t i = 0; i < comm::operation_count; ++i) {
      if (comm::to_string(static_cast<comm::Operation>(i)) != row.operation) continue;
      sums.by_operation[i].calls += static_cast<std::uint64_t>(row.calls);
      sums.by_operation[i].bytes += static_cast<std::uint64_t>(row.bytes);
    }
  }
  return recorded(sums);
}

}  // namespace

RunConfig small_run(TokenFile const& tokens) {
  RunConfig config;
  config.model.hidden_size = 64;
  config.model.vocab_size = 64;
  config.model.max_positions = 24;
  config.data.path = tokens.path();
  config.data.format = "u16";
  config.batch = {16, 2, 32};
  config.optimizer.warmup_steps = 1;
  config.optimizer.lr = 1e-2;
  config.training.steps = steps;
  config.training.eval_interval = 1;
  config.parallel.tiles = 8;
  config.parallel.allow_split_tp = true;
  return config;
}

std::string LayoutCase::name() const {
  std::string text = fmt::format("tp {} pp {} dp {} {} {} ranks per node {} buckets of {} bytes {} order {}",
                                 shape.tp, shape.pp, shape.dp, sequence_parallel ? "SP" : "no SP", schedule,
                                 ranks_per_node, bucket_bytes, overlap ? "overlapped" : "at the end", order);
  for (auto const layers : pipeline_layers) text += fmt::format(" {}", layers);
  return text;
}

RunConfig LayoutCase::applied_to(RunConfig config) const {
  auto& parallel = config.parallel;
  parallel.tp = shape.tp;
  parallel.pp = shape.pp;
  parallel.dp = shape.dp;
  parallel.sequence_parallel = sequence_parallel;
  parallel.schedule = schedule;
  parallel.ranks_per_node = ranks_per_node;
  parallel.bucket_bytes = bucket_bytes;
  parallel.overlap_grad_reduce = overlap;
  parallel.mesh_order = order;
  parallel.pipeline_layers = pipeline_layers;
  return config;
}

std::vector<LayoutCase> all_layouts(int most_tp) {
  constexpr std::array nodes{0, 2, 4};
  constexpr std::array buckets{std::int64_t{1}, std::int64_t{100'000}, std::int64_t{25} * 1024 * 1024};
  std::vector<LayoutCase> layouts;
  for (int const ranks : {2, 4, 8}) {
    for (int tp = 1; tp <= std::min(ranks, most_tp); tp *= 2) {
      for (int pp = 1; pp <= std::min(4, ranks / tp); pp *= 2) {
        for (bool const sequence_parallel : {false, true}) {
          for (char const* const schedule : {"gpipe", "1f1b"}) {
            bool const same_as_before = (sequence_parallel && tp == 1) || (schedule[0] == '1' && pp == 1);
            if (same_as_before) continue;
            auto const i = layouts.size();
            LayoutCase layout{
                {tp, pp, ranks / (tp * pp)}, sequence_parallel, schedule, nodes[i % 3], buckets[i / 3 % 3]};
            layout.overlap = i % 2 == 0;
            if (i % 5 == 0) layout.order = "dp,tp,pp";
            if (pp == 2 && i % 2 == 1) layout.pipeline_layers = {3, 1};
            layouts.push_back(std::move(layout));
          }
        }
      }
    }
  }
  return layouts;
}

std::vector<LayoutCase> quick_layouts(int most_tp) {
  constexpr std::int64_t small = 1, large = 1 << 20;
  std::vector<LayoutCase> layouts{
      {{2, 1, 1}, false},
      {{2, 1, 1}, true},
      {{1, 2, 1}, false, "gpipe"},
      {{1, 1, 2}, false, "1f1b", 0, small},
      {{4, 1, 1}, true, "1f1b", 2},
      {{1, 4, 1}},
      {{2, 2, 1}, true, "gpipe", 2},
      {{2, 1, 2}, false, "1f1b", 2, large},
      {{1, 2, 2}, false, "1f1b", 0, small, false, "tp,dp,pp", {1, 3}},
      {{8, 1, 1}, false, "1f1b", 4},
      {{8, 1, 1}, true, "1f1b", 2},
      {{2, 2, 2}, true, "1f1b", 4, small},
      {{1, 1, 8}, false, "1f1b", 4, small},
      {{4, 2, 1}, true, "gpipe", 0, large, true, "tp,dp,pp", {3, 1}},
      {{2, 4, 1}, false, "1f1b", 4},
      {{4, 1, 2}, true, "1f1b", 2, small, true, "dp,tp,pp"},
  };
  std::erase_if(layouts, [=](LayoutCase const& layout) { return layout.shape.tp > most_tp; });
  return layouts;
}

template <class T>
void expect_forecast_traffic(TrainingRun<T>& run) {
  auto const& plan = run.trainer().plan();
  auto const rows = step_traffic(run.config(), plan.layout, plan.place.pp);
  for (std::string_view const axis : {"tp", "pp", "dp", "tied", "world", "model"}) {
    EXPECT_EQ(recorded(run.ledger().totals(axis)), forecast(rows, axis))
        << "messages over " << axis << " of stage " << plan.place.pp;
  }
}

template <class T>
void expect_same_bits(RunConfig const& config, std::vector<LayoutCase> const& layouts) {
  auto const reference = run_on_one_rank<T>(config);
  auto& world = support::world();
  for (int const ranks : {2, 4, 8}) {
    if (ranks > world.size()) break;
    auto const group = support::group_of(ranks);
    int const groups = world.size() / ranks, own = world.rank() / ranks;
    int turn = 0;
    for (auto const& layout : layouts) {
      if (layout.shape.size() != ranks || turn++ % groups != own) continue;
      SCOPED_TRACE(layout.name());
      compare_layout<T>(group->duplicate(), layout.applied_to(config), reference);
    }
  }
}

#define TESSERA_INSTANTIATE(T) \
  template void expect_same_bits<T>(RunConfig const&, std::vector<LayoutCase> const&);
TESSERA_FOR_COMPUTE_TYPES(TESSERA_INSTANTIATE)
#undef TESSERA_INSTANTIATE

}  // namespace tessera::train::test
