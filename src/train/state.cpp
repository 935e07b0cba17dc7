// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <functional>
#include <limits>
#include <optional>
#include <string_view>

#include "tessera/base/error.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/train/precision.hpp"
#include "train/tile_box.hpp"

namespace tessera::train {

namespace {

constexpr std::array<std::string_view, 3> prefixes{"", "optimizer/exp_avg/", "optimizer/exp_avg_sq/"};

/// Calls `visit(tile, box, data)` for each tile of a parameter that has more than padding; `tile` is a global
/// tile index and `data` its first element among `numbers`, those of the whole store.
template <class T, class Visit>
void for_each_tile(params::Parameter const& parameter, T* numbers, Visit const& visit) {
  for (int i = 0; i < parameter.tiles.count; ++i) {
    auto const tile = parameter.tiles.first + i;
    auto box = box_of_tiles(parameter.spec, {parameter.tiles.total, tile, 1});
    if (box) visit(tile, std::move(*box), numbers + parameter.range.begin + i * parameter.tile_stride);
  }
}

template <class T>
checkpoint::Part make_part(Trainer<T>& trainer, SavedBox const& saved, std::size_t tensor_count) {
  auto const& store = trainer.stage().store();
  auto const& parameter = store[saved.parameter];
  auto const kind = static_cast<std::size_t>(saved.kind);
  checkpoint::Part part;
  part.tensor = kind * tensor_count + static_cast<std::size_t>(parameter.spec.index);
  part.box = saved.box;
  for_each_tile(parameter, trainer.host_tensors().numbers(store, kind),
                [&](int tile, checkpoint::Box box, Wide<T> const* data) {
                  auto const inside = checkpoint::intersection(box, saved.box);
                  if (!inside) return;
                  part.sources.push_back({reinterpret_cast<std::byte const*>(data), std::move(box),
                                          strides_of_tile(parameter.spec)});
                  if (!part.tiles) part.tiles = checkpoint::TileRange{tile, 0};
                  ++part.tiles->count;
                });
  return part;
}

constexpr std::size_t most_shown = 80;  // characters of a text from a file
constexpr std::size_t most_listed = 50;

/// A text from a file for messages: no control characters, not too long.
std::string shown(std::string const& text) {
  auto const quoted = checkpoint::in_quotes(std::string_view(text).substr(0, most_shown));
  auto plain = quoted.substr(1, quoted.size() - 2);
  if (text.size() > most_shown) plain += fmt::format("... ({} bytes)", text.size());
  return plain;
}

void limit(std::vector<std::string>& lines) {
  if (lines.size() <= most_listed) return;
  auto const others = lines.size() - most_listed;
  lines.resize(most_listed);
  lines.push_back(fmt::format("and {} more", others));
}

/// A number of the manifest's state, from 0 to `most`. Throws DataError.
std::int64_t number_in(checkpoint::Reader const& from, std::string const& name, std::int64_t most) {
  auto const& state = from.manifest().state;
  auto const found = state.find(name);
  std::int64_t value = -1;
  if (found != state.end()) {
    auto const& text = found->second;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) value = -1;
  }
  if (value > most) {
    throw DataError(
        fmt::format("{}: the manifest's state has \"{}\" {}, more than the {} that a run can reach",
                    from.directory(), name, value, most));
  }
  if (value >= 0) return value;
  throw DataError(
      fmt::format("{}: the manifest's state has no number \"{}\": this is no checkpoint of a "
                  "training run",
                  from.directory(), name));
}

/// The loss scale that was reached, where a run goes on with one that changes; else none. Throws DataError.
std::optional<optim::LossScaleState> loss_scale_in(checkpoint::Reader const& from, std::int64_t updates) {
  if (!from.manifest().state.contains("loss_scale")) return std::nullopt;
  auto const scale = number_in(from, "loss_scale", optim::largest_loss_scale);
  if (!std::has_single_bit(static_cast<std::uint64_t>(scale))) {
    throw DataError(fmt::format("{}: the manifest's state has \"loss_scale\" {}, which is no power of two",
                                from.directory(), scale));
  }
  return optim::LossScaleState{scale, number_in(from, "loss_scale_clean_updates", updates)};
}

/// Where training goes on. A step makes one update at most, and the samples of the steps to come, and of one
/// more, must still be counted in 63 bits.
TrainingState state_in(checkpoint::Reader const& from, RunConfig const& config,
                       optim::LossScaleState const& initial) {
  auto const step = from.manifest().step;
  auto const to_come = std::max<std::int64_t>(config.training.steps - step, 0) + 1;
  auto const most = std::numeric_limits<std::int64_t>::max() - to_come * config.batch.global_batch_size;
  auto const updates = number_in(from, "updates", step);
  return {step, updates, number_in(from, "position", most), loss_scale_in(from, updates).value_or(initial)};
}

checkpoint::Layout layout_of(Layout const& layout) {
  return {layout.ranks(), layout.tp, layout.pp, layout.dp, layout.explicit_tiles ? layout.tiles : 0};
}

/// float32, bf16 and fp16 runs have the same state: parameters and moments of float32.
bool is_float64(std::string_view precision) { return precision == "float64"; }

/// Whether this value of the model changes no tensor, so that a run may be told to go on with another.
bool fits_all_tensors(std::string_view name) {
  return name == "model.attention_dropout" || name == "model.hidden_dropout" ||
         name == "model.layer_norm_epsilon";
}

/// Whether a run does not go on with this value changed, unless it is told to.
bool is_essential(std::string_view name, std::string_view before, std::string_view after) {
  if (name == "training.precision") return is_float64(before) || is_float64(after);
  return name.starts_with("model.") && name != "model.init_stddev";
}

}  // namespace

std::vector<checkpoint::TensorEntry> saved_tensors(std::vector<params::TensorSpec> const& specs,
                                                   DType dtype) {
  std::vector<checkpoint::TensorEntry> tensors;
  for (auto const prefix : prefixes) {
    for (auto const& spec : specs) tensors.push_back({std::string(prefix) + spec.name, dtype, spec.shape});
  }
  return tensors;
}

checkpoint::Values saved_config(RunConfig const& config, Layout const& layout,
                                std::int64_t training_samples) {
  checkpoint::Values values;
  auto const add = [&](std::string const& name, auto const& value) {
    values.emplace(name, fmt::format("{}", value));
  };
  auto const& model = config.model;
  add("model.layers", model.layers);
  add("model.hidden_size", model.hidden_size);
  add("model.heads", model.heads);
  add("model.ffn_hidden_size", layout.ffn_hidden_size);
  add("model.vocab_size", model.vocab_size);
  add("model.max_positions", model.max_positions);
  add("model.attention_dropout", model.attention_dropout);
  add("model.hidden_dropout", model.hidden_dropout);
  add("model.layer_norm_epsilon", model.layer_norm_epsilon);
  add("model.init_stddev", model.init_stddev);
  add("batch.seq_length", config.batch.seq_length);
  add("batch.micro_batch_size", config.batch.micro_batch_size);
  add("batch.global_batch_size", config.batch.global_batch_size);
  auto const& optimizer = config.optimizer;
  add("optimizer.lr", optimizer.lr);
  add("optimizer.min_lr", optimizer.min_lr);
  add("optimizer.warmup_steps", optimizer.warmup_steps);
  add("optimizer.decay_steps", layout.decay_steps);
  add("optimizer.weight_decay", optimizer.weight_decay);
  add("optimizer.beta1", optimizer.beta1);
  add("optimizer.beta2", optimizer.beta2);
  add("optimizer.epsilon", optimizer.epsilon);
  add("optimizer.clip_grad", optimizer.clip_grad);
  auto const loss_scale = loss_scale_of(config);
  if (loss_scale != 1) add("optimizer.loss_scale", loss_scale > 0 ? std::to_string(loss_scale) : "auto");
  if (loss_scale == 0) {
    add("optimizer.min_loss_scale", optimizer.min_loss_scale);
    add("optimizer.loss_scale_window", optimizer.loss_scale_window);
  }
  add("training.seed", config.training.seed);
  add("training.precision", config.training.precision);
  add("data.path", config.data.path);
  add("data.samples", training_samples);
  add("parallel.tiles", layout.explicit_tiles ? std::to_string(layout.tiles) : "auto");
  if (layout.explicit_tiles) add("parallel.batch_tiles", layout.batch_tiles);
  return values;
}

Differences differences(checkpoint::Values const& saved, checkpoint::Values const& now,
                        bool allow_model_changes) {
  Differences found;
  auto const text = [](checkpoint::Values const& values, std::string const& name) {
    auto const value = values.find(name);
    return value == values.end() ? "not set" : value->second;
  };
  auto names = saved;
  names.insert(now.begin(), now.end());
  for (auto const& [name, unused] : names) {
    auto const before = text(saved, name), after = text(now, name);
    if (before == after) continue;
    auto const difference =
        fmt::format("{}: {} when saved, now {}", shown(name), shown(before), shown(after));
    if (!is_essential(name, before, after) || (allow_model_changes && fits_all_tensors(name))) {
      found.allowed.push_back(difference);
    } else {
      auto const hint = fits_all_tensors(name) ? "; checkpoint.allow_model_changes goes on with it" : "";
      found.impossible.push_back(difference + hint);
    }
  }
  limit(found.impossible);
  limit(found.allowed);
  return found;
}

template <class T>
checkpoint::Snapshot make_snapshot(Trainer<T>& trainer) {
  auto const& plan = trainer.plan();
  auto const& store = trainer.stage().store();
  auto const state = trainer.state();
  trainer.host_tensors().fetch(trainer.exec(), store);
  checkpoint::Snapshot snapshot;
  snapshot.step = state.step;
  snapshot.layout = layout_of(plan.layout);
  snapshot.config = saved_config(trainer.config(), plan.layout, trainer.dataset().training_samples());
  snapshot.state = {{"updates", fmt::format("{}", state.updates)},
                    {"position", fmt::format("{}", state.position)}};
  if (trainer.loss_scale().dynamic()) {
    snapshot.state.emplace("loss_scale", fmt::format("{}", state.loss_scale.scale));
    snapshot.state.emplace("loss_scale_clean_updates", fmt::format("{}", state.loss_scale.clean_updates));
  }
  snapshot.tensors = saved_tensors(plan.specs, dtype_of<Wide<T>>);
  for (auto const& saved : saved_boxes(store.parameters(), plan.layout, plan.place))
    snapshot.parts.push_back(make_part(trainer, saved, plan.specs.size()));
  return snapshot;
}

template <class T>
void restore(Trainer<T>& trainer, checkpoint::Reader const& from) {
  auto const& store = trainer.stage().store();
  auto& tensors = trainer.host_tensors();
  tensors.fetch(trainer.exec(), store);
  std::vector<checkpoint::Slice> slices;
  for (auto const& parameter : store.parameters()) {
    if (parameter.role == params::Role::tied_gradient) continue;
    auto const& spec = parameter.spec;
    for (std::size_t kind = 0; kind < prefixes.size(); ++kind) {
      for_each_tile(parameter, tensors.numbers(store, kind), [&](int, checkpoint::Box box, Wide<T>* data) {
        slices.push_back({std::string(prefixes[kind]) + spec.name,
                          dtype_of<Wide<T>>,
                          spec.shape,
                          {reinterpret_cast<std::byte*>(data), std::move(box), strides_of_tile(spec)}});
      });
    }
  }
  auto const state = state_in(from, trainer.config(), trainer.loss_scale().state());
  from.read(slices);
  tensors.put_back(trainer.exec(), store);
  trainer.stage().round_weights({});
  trainer.resume(state);
}

#define TESSERA_INSTANTIATE(T)                              \
  template checkpoint::Snapshot make_snapshot(Trainer<T>&); \
  template void restore(Trainer<T>&, checkpoint::Reader const&);
TESSERA_FOR_COMPUTE_TYPES(TESSERA_INSTANTIATE)

}  // namespace tessera::train
