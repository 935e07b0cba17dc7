// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "dry_run.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "console.hpp"
#include "tessera/base/error.hpp"
#include "tessera/comm/session.hpp"
#include "tessera/kernels/matmul.hpp"
#include "tessera/pipeline/generators.hpp"
#include "tessera/train/forecast.hpp"
#include "tessera/train/precision.hpp"
#include "text.hpp"

namespace gpt_train {

namespace train = tessera::train;

namespace {

/// What is forecast for a rank of one stage or, where they are alike, of several.
struct Forecast {
  int first = 0, last = 0;  ///< stages
  std::int64_t layers = 0;
  train::MemoryPrediction memory;
  std::vector<train::Traffic> traffic;

  [[nodiscard]] bool is_like(Forecast const& other) const {
    return layers == other.layers && memory.items == other.memory.items && traffic == other.traffic;
  }
  [[nodiscard]] std::string stages() const {
    return first == last ? fmt::format("stage {}", first) : fmt::format("stages {} to {}", first, last);
  }
};

/// Of all stages, neighbours that are alike taken together.
std::vector<Forecast> forecasts(train::RunConfig const& config, train::Layout const& layout) {
  std::vector<Forecast> all;
  auto plan = train::make_plan(config, layout, {});
  for (int stage = 0; stage < layout.pp; ++stage) {
    train::move_plan(plan, config, {0, stage, 0});
    Forecast one{stage, stage, layout.stage_layers[static_cast<std::size_t>(stage)],
                 train::predict_memory(config, plan), train::step_traffic(config, layout, stage)};
    if (!all.empty() && all.back().is_like(one)) {
      all.back().last = stage;
    } else {
      all.push_back(std::move(one));
    }
  }
  return all;
}

/// The stages that say most when there are many: the ends and the one that needs most.
std::vector<Forecast> telling(std::vector<Forecast> const& all) {
  constexpr std::size_t most_printed = 8;
  if (all.size() <= most_printed) return all;
  auto const by_memory = [](Forecast const& one) { return one.memory.total_bytes(); };
  auto const largest = std::max_element(all.begin() + 1, all.end() - 1, [&](auto const& a, auto const& b) {
    return by_memory(a) < by_memory(b);
  });
  return {all.front(), *largest, all.back()};
}

void print_memory(Console& console, std::vector<Forecast> const& all) {
  std::size_t largest = 0;
  for (auto const& one : all) largest = std::max(largest, one.memory.total_bytes());
  auto const shown = telling(all);
  for (auto const& one : shown) {
    if (all.size() > 1 || one.first < one.last)
      console.line("{} ({} layer{} each):", one.stages(), one.layers, one.layers == 1 ? "" : "s");
    console.line(memory_text(one.memory));
  }
  if (shown.size() < all.size())
    console.line("shown are the first stage, the last, and that of the others which needs most");
  if (all.size() > 1) console.line("memory per rank, largest: {}", bytes_text(static_cast<double>(largest)));
}

/// Rows of one rank of each stage, then the sum over all ranks.
void print_traffic(Console& console, std::vector<Forecast> const& all, std::int64_t ranks_of_stage) {
  constexpr auto row = "  {:<8} {:<16} {:<22} {:>15} {:>20}";
  for (auto const& one : telling(all)) {
    auto const where = all.size() > 1 || one.first < one.last ? " of " + one.stages() : "";
    console.line("messages of a rank{} in one step:{}", where, one.traffic.empty() ? " none" : "");
    if (!one.traffic.empty()) console.line(row, "axis", "operation", "part", "calls", "bytes");
    for (auto const& t : one.traffic) {
      console.line(row, t.axis, t.operation, t.part, grouped(t.calls),
                   bytes_text(static_cast<double>(t.bytes)));
    }
  }
  std::vector<train::Traffic> sum;
  for (auto const& one : all) {
    for (auto t : one.traffic) {
      t.calls *= one.last - one.first + 1;
      t.bytes *= one.last - one.first + 1;
      sum.push_back(t);
    }
  }
  if (sum.empty()) return;
  console.line("all ranks together, one step:");
  console.line(row, "axis", "operation", "", "calls", "bytes");
  for (auto const& t : train::totals(sum)) {
    console.line(row, t.axis, t.operation, "", grouped(t.calls * ranks_of_stage),
                 grouped(t.bytes * ranks_of_stage));
  }
}

/// What this program would not run. Another build may, so it is no problem of the plan.
void print_notes(Console& console, train::RunConfig const& config, int ranks) {
  if (config.parallel.matmul != "auto") {
    try {
      static_cast<void>(
          tessera::kernels::make_matmul_provider(config.parallel.matmul, train::compute_type(config)));
    } catch (tessera::Error const& error) {
      console.line("note: {}", error.what());
    }
  }
  auto const& backend = config.parallel.backend;
  if (backend == "auto") return;
  auto const table = tessera::comm::communicator_backends();
  if (std::ranges::none_of(table, [&](auto const& row) { return row.name == backend; }))
    console.line("note: parallel.backend = \"{}\" is no communicator of this build", backend);
  if (backend == "loopback" && ranks > 1)
    console.line("note: parallel.backend = \"loopback\" is for one process; planned are {}", ranks);
}

}  // namespace

tessera::ExitCode dry_run(tessera::comm::Communicator& world, CommandLine const& command) {
  auto const& config = command.config;
  auto const layout = train::resolve(config, command.ranks);
  Console console(world.rank() == 0, "");
  if (!console.speaks()) return tessera::ExitCode::ok;
  console.line("dry run for {} rank{} = tp {} x pp {} x dp {}: nothing is allocated", layout.ranks(),
               layout.ranks() == 1 ? "" : "s", layout.tp, layout.pp, layout.dp);
  console.line(model_text(config));
  console.line(batch_text(config, layout));
  auto const all = forecasts(config, layout);
  print_memory(console, all);
  if (auto const text = checkpoint_text(config); !text.empty()) console.line(text);
  print_traffic(console, all, std::int64_t{layout.tp} * layout.dp);
  if (layout.pp > 1) {
    auto const microbatches = static_cast<int>(layout.microbatches_per_replica);
    console.line("pipeline bubble: {:.1f}% of the step",
                 100 * tessera::pipeline::closed_form_bubble(layout.pp, microbatches));
  }
  print_notes(console, config, layout.ranks());
  return tessera::ExitCode::ok;
}

}  // namespace gpt_train
