// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "text.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "tessera/train/forecast.hpp"

namespace gpt_train {

namespace train = tessera::train;

std::string grouped(std::int64_t number) {
  auto text = std::to_string(std::abs(number));
  for (auto i = static_cast<std::ptrdiff_t>(text.size()) - 3; i > 0; i -= 3)
    text.insert(static_cast<std::size_t>(i), ",");
  return number < 0 ? "-" + text : text;
}

std::string bytes_text(double bytes) {
  constexpr std::array units{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t unit = 0;
  for (; bytes >= 10000 && unit + 1 < units.size(); ++unit) bytes /= 1024;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, units[unit]);
}

std::string model_text(train::RunConfig const& config) {
  auto const& model = config.model;
  return fmt::format(
      "model {}: {} layers, hidden size {}, {} heads, feed-forward size {}, vocabulary {}, {} positions\n"
      "parameters: {}",
      model.name, model.layers, model.hidden_size, model.heads, tessera::model::ffn_hidden_size(model),
      grouped(model.vocab_size), model.max_positions, grouped(tessera::model::parameter_count(model)));
}

std::string batch_text(train::RunConfig const& config, train::Layout const& layout) {
  auto text =
      fmt::format("global batch {} = {} per microbatch x {} microbatches x {} replicas; {} tokens a sequence",
                  config.batch.global_batch_size, config.batch.micro_batch_size,
                  layout.microbatches_per_replica, layout.dp, config.batch.seq_length);
  if (layout.explicit_tiles) {
    text += fmt::format("\ntiles: T = {}, heads in {}, batch in {}: the same bits on every layout",
                        layout.tiles, layout.head_tiles, layout.batch_tiles);
  } else {
    text += "\ntiles: auto, one a rank: the fast mode, bits depend on the layout (--tiles 8 to fix them)";
  }
  if (layout.padded_vocab_size != config.model.vocab_size) {
    text += fmt::format("\nvocabulary padded in memory from {} to {}: no result depends on it",
                        grouped(config.model.vocab_size), grouped(layout.padded_vocab_size));
  }
  return text;
}

std::string memory_text(train::MemoryPrediction const& prediction) {
  auto text = fmt::format("memory per rank, predicted: {}",
                          bytes_text(static_cast<double>(prediction.total_bytes())));
  for (auto const& item : prediction.items) {
    if (item.bytes > 0)
      text += fmt::format("\n  {:<32} {:>12}", item.name, bytes_text(static_cast<double>(item.bytes)));
  }
  return text;
}

double checkpoint_bytes(train::RunConfig const& config) {
  auto const width = static_cast<double>(train::wide_bytes(config));
  return 3 * width * static_cast<double>(tessera::model::parameter_count(config.model));
}

std::string_view peak_origin(train::OutputConfig const& output) {
  return output.peak_tflops > 0 ? "given" : "measured";
}

std::string checkpoint_text(train::RunConfig const& config) {
  auto const& c = config.checkpoint;
  if (c.save.empty()) return {};
  auto text = fmt::format("checkpoints in {}: {} each, {}", c.save, bytes_text(checkpoint_bytes(config)),
                          c.synchronous ? "training waits for them" : "written while training goes on");
  if (c.interval > 0) text += fmt::format(", every {} steps", c.interval);
  if (c.interval_minutes > 0) text += fmt::format(", every {} minutes", c.interval_minutes);
  text += ", at the end and before leaving early";
  return text + (c.keep > 0 ? fmt::format("; the newest {} stay", c.keep) : "; all stay");
}

std::string traffic_text(train::StepReport const& report) {
  std::string text;
  for (std::size_t i = 0; i < train::reported_axes.size(); ++i) {
    auto const& traffic = report.traffic[i];
    if (traffic.calls == 0) continue;
    text += fmt::format("{}{} {} in {:.0f} calls", text.empty() ? "" : ", ", train::reported_axes[i],
                        bytes_text(traffic.bytes), traffic.calls);
  }
  return text.empty() ? "none" : text;
}

std::string advice_text(train::RunConfig const& config, tessera::mesh::Mesh const& mesh,
                        std::size_t available_bytes) {
  auto const& shape = mesh.shape();
  if (shape.tp == 1) return {};
  if (mesh.plan(tessera::mesh::Axis::tp).level == tessera::mesh::Level::cluster) {
    return "advice: tensor-parallel groups reach across nodes, whose links are slow for sums in every layer; "
           "a smaller "
           "tp with more pp keeps them inside";
  }
  auto without = config;
  without.parallel.tp = 1;
  without.parallel.dp = shape.dp * shape.tp;
  without.parallel.sequence_parallel = false;
  int const ranks = mesh.size();
  if (!train::problems(without, ranks).empty()) return {};
  auto const plan = train::make_plan(without, train::resolve(without, ranks), {});
  auto const needs = train::predict_memory(without, plan).total_bytes();
  if (needs > available_bytes) return {};
  return fmt::format(
      "advice: without tensor parallelism a rank needs {} and has {}: --tp 1 --dp {} does less communication",
      bytes_text(static_cast<double>(needs)), bytes_text(static_cast<double>(available_bytes)),
      without.parallel.dp);
}

}  // namespace gpt_train
