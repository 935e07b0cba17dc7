// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "dry_run.hpp"

#include <algorithm>
#include <string>

#include "console.hpp"
#include "tessera/pipeline/checker.hpp"
#include "tessera/train/forecast.hpp"
#include "text.hpp"

namespace gpt_train {

namespace train = tessera::train;

namespace {

void print_memory(Console& console, train::RunConfig const& config, train::Layout const& layout) {
  std::size_t largest = 0;
  for (int stage = 0; stage < layout.pp; ++stage) {
    auto const prediction = train::predict_memory(config, train::make_plan(config, layout, {0, stage, 0}));
    largest = std::max(largest, prediction.total_bytes());
    if (layout.pp > 1)
      console.line("stage {} ({} layers):", stage, layout.stage_layers[static_cast<std::size_t>(stage)]);
    console.line(memory_text(prediction));
  }
  if (layout.pp > 1) console.line("memory per rank, largest: {}", bytes_text(static_cast<double>(largest)));
}

/// Rows of one rank of each stage, then the sum over all ranks.
void print_traffic(Console& console, train::RunConfig const& config, train::Layout const& layout) {
  constexpr auto row = "  {:<8} {:<16} {:<22} {:>12} {:>12}";
  std::vector<train::Traffic> all;
  for (int stage = 0; stage < layout.pp; ++stage) {
    auto const traffic = train::step_traffic(config, layout, stage);
    console.line("messages of a rank of stage {} in one step:", stage);
    console.line(row, "axis", "operation", "part", "calls", "bytes");
    for (auto const& t : traffic) {
      console.line(row, t.axis, t.operation, t.part, grouped(t.calls),
                   bytes_text(static_cast<double>(t.bytes)));
    }
    all.insert(all.end(), traffic.begin(), traffic.end());
  }
  console.line("all ranks together, one step:");
  console.line(row, "axis", "operation", "", "calls", "bytes");
  std::int64_t const ranks_of_stage = layout.tp * layout.dp;
  for (auto const& t : train::totals(all)) {
    console.line(row, t.axis, t.operation, "", grouped(t.calls * ranks_of_stage),
                 grouped(t.bytes * ranks_of_stage));
  }
}

}  // namespace

tessera::ExitCode dry_run(tessera::comm::Communicator& world, CommandLine const& command) {
  auto const& config = command.config;
  auto const layout = train::resolve(config, command.ranks);
  Console console(world.rank() == 0, "");
  if (!console.speaks()) return tessera::ExitCode::ok;
  console.line("dry run for {} ranks = tp {} x pp {} x dp {}: nothing is allocated", layout.ranks(),
               layout.tp, layout.pp, layout.dp);
  console.line(model_text(config));
  console.line(batch_text(config, layout));
  print_memory(console, config, layout);
  if (auto const text = checkpoint_text(config); !text.empty()) console.line(text);
  print_traffic(console, config, layout);
  auto const schedule = train::make_plan(config, layout, {}).schedule;
  console.line("pipeline bubble, backward twice as dear as forward: {:.1f}% of the step",
               100 * tessera::pipeline::bubble_fraction(schedule, 1, 2));
  return tessera::ExitCode::ok;
}

}  // namespace gpt_train
