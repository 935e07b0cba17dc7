// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/forecast.hpp"

#include <algorithm>

#include "tessera/params/parameter_store.hpp"
#include "tessera/train/precision.hpp"

namespace tessera::train {

namespace {

using Rows = std::vector<Traffic>;

/// Gamma and beta of two norms, the biases of two row linears.
constexpr std::int64_t replicated_tensors_of_block = 6;

std::int64_t stored(std::int64_t elements) {
  return (elements + params::tile_alignment - 1) / params::tile_alignment * params::tile_alignment;
}

/// A stage's place and the sizes that every part needs.
struct StageSizes {
  StageSizes(RunConfig const& config, Layout const& layout, int stage)
      : first(stage == 0),
        last(stage == layout.pp - 1),
        layers(layout.stage_layers[static_cast<std::size_t>(stage)]),
        head_tiles(layout.head_tiles / layout.tp),
        tiles(layout.tiles / layout.tp),
        microbatches(layout.microbatches_per_replica),
        tokens(config.batch.seq_length * config.batch.micro_batch_size),
        activation_bytes(tokens * config.model.hidden_size * compute_bytes(config)),
        sum_bytes(tokens * config.model.hidden_size * wide_bytes(config)) {}

  bool first, last;
  std::int64_t layers;
  std::int64_t head_tiles, tiles;  ///< owned by one rank
  std::int64_t microbatches;       ///< of one replica in a step
  std::int64_t tokens;             ///< S * B
  std::int64_t activation_bytes;   ///< of a whole (S*B, D) tensor
  std::int64_t sum_bytes;          ///< of such a tensor of sums over tiles
};

/// `calls` of `bytes` each, unless the axis has one rank or nothing is said.
Rows row(int ranks, std::string_view axis, std::string_view operation, std::string_view part,
         std::int64_t calls, std::int64_t bytes) {
  if (ranks == 1 || calls == 0) return {};
  return {{axis, operation, part, calls, calls * bytes}};
}

void append(Rows& to, Rows const& from) { to.insert(to.end(), from.begin(), from.end()); }

std::int64_t tied_elements(RunConfig const& config, Layout const& layout) {
  std::int64_t const tile = layout.padded_vocab_size / layout.tiles * config.model.hidden_size;
  return stored(tile) * (layout.tiles / layout.tp);
}

/// Tiles of all tensors of the model, each of which is a term of the gradient norm: the tables of tokens and
/// positions, then in a block 6 replicated tensors, 3 cut by heads and 3 by feed-forward, then a norm.
std::int64_t norm_terms(RunConfig const& config, Layout const& layout) {
  std::int64_t const block = replicated_tensors_of_block + 3 * layout.head_tiles + 3 * layout.tiles;
  return layout.tiles + 1 + config.model.layers * block + 2;
}

}  // namespace

std::int64_t compute_bytes(RunConfig const& config) {
  return static_cast<std::int64_t>(size_bytes(compute_type(config)));
}

std::int64_t wide_bytes(RunConfig const& config) {
  return static_cast<std::int64_t>(size_bytes(wide_type(config)));
}

GradientElements gradient_elements(RunConfig const& config, Layout const& layout, int stage) {
  StageSizes const place(config, layout, stage);
  std::int64_t const d = config.model.hidden_size;
  std::int64_t const per_head_tile = d / layout.head_tiles;
  std::int64_t const per_ffn_tile = layout.ffn_hidden_size / layout.tiles;
  std::int64_t const attention =
      stored(3 * per_head_tile * d) + stored(3 * per_head_tile) + stored(d * per_head_tile);
  std::int64_t const mlp = 2 * stored(per_ffn_tile * d) + stored(per_ffn_tile);
  GradientElements elements;
  elements.replicated = place.layers * replicated_tensors_of_block * stored(d);
  elements.cut = place.layers * (place.head_tiles * attention + place.tiles * mlp);
  if (place.first) {
    elements.replicated += stored(config.model.max_positions * d);
    elements.cut += tied_elements(config, layout);
  }
  if (place.last) {
    elements.replicated += 2 * stored(d);
    elements.tied_role = tied_elements(config, layout);
  }
  return elements;
}

Rows layer_traffic(RunConfig const& config, Layout const& layout, int stage) {
  StageSizes const place(config, layout, stage);
  int const ends = (place.first ? 1 : 0) + (place.last ? 1 : 0);
  std::int64_t const sums = 4 * place.layers + ends;
  std::int64_t const gathers = 6 * place.layers + ends;
  std::string_view const part = "layers";
  if (!config.parallel.sequence_parallel) {
    return row(layout.tp, "tp", "all_reduce", part, sums * place.microbatches, place.sum_bytes);
  }
  Rows rows = row(layout.tp, "tp", "all_gather", part, gathers * place.microbatches, place.activation_bytes);
  append(rows, row(layout.tp, "tp", "reduce_scatter", part, sums * place.microbatches, place.sum_bytes));
  return rows;
}

Rows cross_entropy_traffic(RunConfig const& config, Layout const& layout, int stage) {
  StageSizes const place(config, layout, stage);
  if (!place.last) return {};
  return row(layout.tp, "tp", "all_reduce", "cross entropy", 3 * place.microbatches,
             place.tokens * wide_bytes(config));
}

Rows replicated_gradient_traffic(RunConfig const& config, Layout const& layout, int stage) {
  if (!config.parallel.sequence_parallel) return {};
  return row(layout.tp, "tp", "all_reduce", "replicated gradients", layout.batch_tiles / layout.dp,
             gradient_elements(config, layout, stage).replicated * wide_bytes(config));
}

Rows pipeline_traffic(RunConfig const& config, Layout const& layout, int stage) {
  StageSizes const place(config, layout, stage);
  std::int64_t const bytes = place.activation_bytes / (config.parallel.sequence_parallel ? layout.tp : 1);
  std::int64_t const borders = (place.first ? 0 : 1) + (place.last ? 0 : 1);
  Rows rows = row(layout.pp, "pp", "send", "stage borders", borders * place.microbatches, bytes);
  append(rows, row(layout.pp, "pp", "receive", "stage borders", borders * place.microbatches, bytes));
  return rows;
}

Rows bucket_traffic(RunConfig const& config, Layout const& layout, int stage) {
  if (layout.dp == 1) return {};
  std::int64_t const elements = gradient_elements(config, layout, stage).total();
  std::int64_t const wanted = config.parallel.bucket_bytes / wide_bytes(config);
  std::int64_t const bucket =
      std::max(params::tile_alignment, wanted / params::tile_alignment * params::tile_alignment);
  return {{"dp", "all_reduce", "gradient buckets", (elements + bucket - 1) / bucket,
           elements * wide_bytes(config)}};
}

Rows tied_embedding_traffic(RunConfig const& config, Layout const& layout, int stage) {
  StageSizes const place(config, layout, stage);
  if (!place.first && !place.last) return {};
  return row(layout.pp, "tied", "all_reduce", "tied embedding", 1,
             tied_elements(config, layout) * wide_bytes(config));
}

Rows bookkeeping_traffic(RunConfig const& config, Layout const& layout, int) {
  std::int64_t const numbers = layout.microbatches + norm_terms(config, layout);
  return row(layout.ranks(), "world", "all_reduce", "loss and gradient norm", 1,
             numbers * static_cast<std::int64_t>(sizeof(double)));
}

Rows step_traffic(RunConfig const& config, Layout const& layout, int stage) {
  Rows rows;
  for (auto const part : {layer_traffic, cross_entropy_traffic, replicated_gradient_traffic, pipeline_traffic,
                          bucket_traffic, tied_embedding_traffic, bookkeeping_traffic}) {
    append(rows, part(config, layout, stage));
  }
  return rows;
}

Rows totals(Rows const& traffic) {
  Rows sums;
  for (Traffic const& one : traffic) {
    auto const same = [&](Traffic const& sum) {
      return sum.axis == one.axis && sum.operation == one.operation;
    };
    auto const found = std::ranges::find_if(sums, same);
    Traffic& sum =
        found != sums.end() ? *found : sums.emplace_back(Traffic{one.axis, one.operation, "", 0, 0});
    sum.calls += one.calls;
    sum.bytes += one.bytes;
  }
  return sums;
}

}  // namespace tessera::train
