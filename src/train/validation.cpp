// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/validation.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "tessera/base/error.hpp"
#include "tessera/base/stream_graph.hpp"
#include "tessera/kernels/attention.hpp"
#include "tessera/train/plan.hpp"
#include "tessera/train/precision.hpp"
#include "train/checks.hpp"

namespace tessera::train {

namespace {

/// t p d = ranks. Returns d as it is asked for, or as the ranks give it; 0 when they give none.
int check_ranks(Checks& checks, ParallelConfig const& p, int ranks) {
  std::int64_t const model_ranks = std::int64_t{p.tp} * p.pp;
  bool const divides = ranks % model_ranks == 0;
  if (p.dp == 0) {
    bool const fits = checks.expect(
        divides,
        "parallel.tp = {} x parallel.pp = {} need a multiple of {} ranks but the job has {}: start {} ranks",
        p.tp, p.pp, model_ranks, ranks, nearest_multiples(ranks, model_ranks));
    return fits ? static_cast<int>(ranks / model_ranks) : 0;
  }
  std::string const other = divides ? fmt::format(", or take dp = {}", ranks / model_ranks) : "";
  checks.expect(
      model_ranks * p.dp == ranks,
      "parallel.tp = {} x parallel.pp = {} x parallel.dp = {} make {} ranks but the job has {}: start {}{}",
      p.tp, p.pp, p.dp, model_ranks * p.dp, ranks, model_ranks * p.dp, other);
  return p.dp;
}

/// What is recorded for a GPU holds no operation that waits for another rank's host.
void check_graph(Checks& checks, ParallelConfig const& p, int ranks) {
  if (!p.cuda_graph) return;
  if (make_stream_graph() == nullptr) {
    checks.expect(false,
                  "parallel.cuda_graph records work for an NVIDIA GPU, but this program keeps its tensors "
                  "elsewhere: leave --cuda-graph out, or build it with a Kokkos for CUDA (docs/gpu.md)");
    return;
  }
  checks.expect(ranks == 1,
                "parallel.cuda_graph records the work of one rank alone, but the job has {}: start one, or "
                "leave --cuda-graph out",
                ranks);
  checks.expect(p.backend != "mpi",
                "parallel.cuda_graph does not record calls of MPI: take parallel.backend = \"loopback\", or "
                "leave --cuda-graph out");
}

/// Where the nodes are given by hand, a tp group must fit inside one, as a Mesh will want it.
void check_nodes(Checks& checks, RunConfig const& c, int dp) {
  auto const& p = c.parallel;
  if (dp == 0 || p.tp == 1 || p.ranks_per_node < 1 || p.allow_split_tp || !is_mesh_order(p.mesh_order))
    return;
  auto const level = planned_axis(c, {p.tp, p.pp, dp}, mesh::Axis::tp).level;
  checks.expect(
      level != mesh::Level::cluster,
      "parallel.tp = {} does not fit inside nodes of parallel.ranks_per_node = {}: choose a tp that divides "
      "the ranks of a node, more ranks per node, or parallel.allow_split_tp = true (--allow-split-tp)",
      p.tp, p.ranks_per_node);
}

/// The same of levels that are asked for.
void check_levels(Checks& checks, RunConfig const& c, int dp) {
  auto const& p = c.parallel;
  if (dp == 0 || p.ranks_per_node < 1 || !is_mesh_order(p.mesh_order)) return;
  auto const check = [&](mesh::Axis axis, std::string const& backend, std::string_view key) {
    if (backend != "hierarchical") return;
    try {
      mesh::MeshShape const shape{p.tp, p.pp, dp};
      static_cast<void>(mesh::plan_axis(mesh::MeshIndex(shape, p.mesh_order), axis,
                                        planned_locations(c, shape), p.tiles > 0,
                                        {mesh::AxisBackend::hierarchical, !tensors_on_host}));
    } catch (ConfigError const& error) {
      for (auto const& problem : error.problems())
        checks.expect(false, "parallel.{} = \"hierarchical\" with parallel.ranks_per_node = {}: {}", key,
                      p.ranks_per_node, problem);
    }
  };
  check(mesh::Axis::tp, p.tp_backend, "tp_backend");
  check(mesh::Axis::dp, p.dp_backend, "dp_backend");
  check(mesh::Axis::pp, p.pp_backend, "pp_backend");
}

void check_stages(Checks& checks, RunConfig const& c) {
  auto const& p = c.parallel;
  if (p.pipeline_layers.empty()) {
    checks.expect(p.pp <= c.model.layers,
                  "parallel.pp = {} is more than model.layers = {}: the largest legal pp is {}", p.pp,
                  c.model.layers, c.model.layers);
    return;
  }
  auto const stages = static_cast<std::int64_t>(p.pipeline_layers.size());
  checks.expect(stages == p.pp,
                "parallel.pipeline_layers has {} stages but parallel.pp = {}: give {} numbers", stages, p.pp,
                p.pp);
  for (std::int64_t const layers : p.pipeline_layers) {
    if (!checks.between("parallel.pipeline_layers: a stage", layers, 1, most_layers)) return;
  }
  std::int64_t const sum = std::reduce(p.pipeline_layers.begin(), p.pipeline_layers.end());
  checks.expect(sum == c.model.layers, "parallel.pipeline_layers = [{}] sum to {} but model.layers = {}",
                joined(p.pipeline_layers), sum, c.model.layers);
}

/// tiles auto: a rank owns one tile of everything, so t divides what is cut.
void check_auto_tiles(Checks& checks, RunConfig const& c) {
  std::int64_t const common = std::gcd(c.model.heads, model::ffn_hidden_size(c.model));
  std::int64_t legal = std::min<std::int64_t>(c.parallel.tp, common);
  while (common % legal != 0) --legal;
  checks.expect(
      common % c.parallel.tp == 0,
      "parallel.tp = {} does not divide model.heads = {} and the feed-forward size {}: the largest legal tp "
      "up to it is {}",
      c.parallel.tp, c.model.heads, model::ffn_hidden_size(c.model), legal);
}

/// `dp` is 0 where it is not known, and tp with it where it makes no sense.
void check_explicit_tiles(Checks& checks, RunConfig const& c, bool grid, int dp) {
  auto const& p = c.parallel;
  std::int64_t const ffn = model::ffn_hidden_size(c.model);
  checks.expect(
      ffn % p.tiles == 0,
      "parallel.tiles = {} does not divide the feed-forward size {} (model.ffn_hidden_size): the largest "
      "legal number of tiles is {}",
      p.tiles, ffn, power_of_two_in(ffn));
  checks.expect(
      c.batch.seq_length % p.tiles == 0,
      "batch.seq_length = {} is not a multiple of parallel.tiles = {}, into which its positions are cut: {}",
      c.batch.seq_length, p.tiles,
      p.tiles > c.model.max_positions
          ? fmt::format("its largest legal number of tiles is {}", power_of_two_in(c.batch.seq_length))
          : fmt::format("take {}", nearest_multiples(c.batch.seq_length, p.tiles)));
  if (!grid) return;
  int const head_tiles = head_tile_count(p.tiles, c.model.heads);
  checks.expect(
      head_tiles % p.tp == 0,
      "parallel.tp = {} does not divide the {} head tiles of model.heads = {} with parallel.tiles = {}: the "
      "largest legal tp is {}",
      p.tp, head_tiles, c.model.heads, p.tiles, head_tiles);
  if (dp > 0) {
    checks.expect(
        is_power_of_two(dp),
        "parallel.dp = {} must be a power of two with parallel.tiles = {}, for example {}: or use tiles auto",
        dp, p.tiles, power_of_two_at_most(dp));
  }
}

int default_batch_tiles(int tiles, std::int64_t microbatches) {
  return static_cast<int>(std::min<std::int64_t>(tiles, power_of_two_in(microbatches)));
}

/// d | R | M, with R as resolve() takes it.
void check_batch_tiles(Checks& checks, ParallelConfig const& p, std::int64_t microbatches, int dp) {
  if (p.batch_tiles > 0) {
    checks.expect(
        microbatches % p.batch_tiles == 0,
        "parallel.batch_tiles = {} does not divide the {} microbatches of a step: the largest legal number "
        "is {}",
        p.batch_tiles, microbatches, power_of_two_in(microbatches));
    checks.expect(p.batch_tiles % dp == 0, "parallel.batch_tiles = {} is not a multiple of parallel.dp = {}",
                  p.batch_tiles, dp);
  } else if (p.tiles > 0 && is_power_of_two(dp)) {
    int const batch_tiles = default_batch_tiles(p.tiles, microbatches);
    checks.expect(
        batch_tiles % dp == 0,
        "parallel.dp = {} does not divide the {} batch tiles that parallel.tiles = {} and {} microbatches "
        "give: set parallel.batch_tiles = {} in all runs to be compared",
        dp, batch_tiles, p.tiles, microbatches, dp);
  }
}

/// `dp` is 0 where it is not known.
void check_microbatches(Checks& checks, RunConfig const& c, bool tiles, int dp) {
  std::int64_t const round = c.batch.micro_batch_size * std::max(1, dp);
  std::string const replicas = dp > 0 ? fmt::format(" x {} replicas (parallel.dp)", dp) : "";
  bool const divides = checks.expect(
      c.batch.global_batch_size % round == 0,
      "batch.global_batch_size = {} is not a multiple of batch.micro_batch_size = {}{}: take {}",
      c.batch.global_batch_size, c.batch.micro_batch_size, replicas,
      nearest_multiples(c.batch.global_batch_size, round));
  if (divides && tiles && dp > 0)
    check_batch_tiles(checks, c.parallel, c.batch.global_batch_size / c.batch.micro_batch_size, dp);
}

void check_sequence(Checks& checks, RunConfig const& c, PossibleLayout possible) {
  checks.expect(
      c.batch.seq_length <= c.model.max_positions,
      "batch.seq_length = {} is longer than model.max_positions = {}: shorten it or learn more positions",
      c.batch.seq_length, c.model.max_positions);
  if (possible.grid && c.parallel.sequence_parallel && c.parallel.tiles == 0) {
    checks.expect(
        c.batch.seq_length % c.parallel.tp == 0,
        "batch.seq_length = {} is not a multiple of parallel.tp = {}, as parallel.sequence_parallel needs: "
        "take {}",
        c.batch.seq_length, c.parallel.tp, nearest_multiples(c.batch.seq_length, c.parallel.tp));
  }
}

/// The attention kernel keeps the keys and values of one head in scratch memory, which is bounded.
void check_attention(Checks& checks, RunConfig const& c) {
  kernels::AttentionShape const shape{1, c.batch.seq_length, 1,
                                      std::max<std::int64_t>(1, c.model.hidden_size / c.model.heads)};
  auto const bytes_of = [&](kernels::AttentionShape const& of) {
    return in_precision(
        c, [&](auto zero) { return kernels::attention_scratch_bytes<Wide<decltype(zero)>>(of); });
  };
  auto one_token = shape;
  one_token.positions = 1;
  checks.expect(
      bytes_of(shape) <= kernels::attention_scratch_limit(),
      "batch.seq_length = {} needs {} bytes of scratch for a head of {} (model.hidden_size / "
      "model.heads) and the attention kernel has {}: take {}",
      c.batch.seq_length, bytes_of(shape), shape.head_size, kernels::attention_scratch_limit(),
      bytes_of(one_token) <= kernels::attention_scratch_limit() ? "shorter sequences" : "more heads");
}

std::vector<std::int64_t> even_stages(std::int64_t layers, int pp) {
  std::vector<std::int64_t> stages(static_cast<std::size_t>(pp), layers / pp);
  std::for_each_n(stages.begin(), layers % pp, [](std::int64_t& stage) { ++stage; });
  return stages;
}

}  // namespace

int head_tile_count(int tiles, std::int64_t heads) {
  return static_cast<int>(std::min(power_of_two_at_most(tiles), power_of_two_in(heads)));
}

std::vector<std::string> problems(RunConfig const& config, int ranks) {
  Checks checks;
  bool const model = check_model(checks, config.model);
  bool const batch = check_batch(checks, config.batch);
  check_optimizer(checks, config);
  check_run(checks, config);
  check_checkpoint(checks, config.checkpoint);
  auto const possible = check_parallel(checks, config.parallel);
  int const dp = possible.grid ? check_ranks(checks, config.parallel, ranks) : 0;
  check_graph(checks, config.parallel, ranks);
  check_nodes(checks, config, dp);
  check_levels(checks, config, dp);
  if (model && possible.grid) check_stages(checks, config);
  if (model && possible.grid && config.parallel.tiles == 0) check_auto_tiles(checks, config);
  if (model && batch && possible.tiles && config.parallel.tiles > 0)
    check_explicit_tiles(checks, config, possible.grid, dp);
  if (model && batch) check_sequence(checks, config, possible);
  if (batch) check_microbatches(checks, config, possible.tiles, dp);
  if (model && batch) check_attention(checks, config);
  if (model && batch && possible.grid && possible.tiles) check_sizes(checks, config, ranks, std::max(1, dp));
  return checks.take();
}

Layout resolve(RunConfig const& config, int ranks) {
  if (auto found = problems(config, ranks); !found.empty()) throw ConfigError(std::move(found));
  auto const& p = config.parallel;
  Layout layout;
  layout.tp = p.tp;
  layout.pp = p.pp;
  layout.dp = ranks / (p.tp * p.pp);
  layout.explicit_tiles = p.tiles > 0;
  layout.tiles = layout.explicit_tiles ? p.tiles : p.tp;
  layout.head_tiles = layout.explicit_tiles ? head_tile_count(p.tiles, config.model.heads) : p.tp;
  layout.microbatches = config.batch.global_batch_size / config.batch.micro_batch_size;
  layout.microbatches_per_replica = layout.microbatches / layout.dp;
  layout.batch_tiles = layout.explicit_tiles ? default_batch_tiles(p.tiles, layout.microbatches) : layout.dp;
  if (p.batch_tiles > 0) layout.batch_tiles = p.batch_tiles;
  layout.ffn_hidden_size = model::ffn_hidden_size(config.model);
  layout.padded_vocab_size = (config.model.vocab_size + layout.tiles - 1) / layout.tiles * layout.tiles;
  layout.decay_steps =
      config.optimizer.decay_steps > 0 ? config.optimizer.decay_steps : config.training.steps;
  layout.stage_layers =
      p.pipeline_layers.empty() ? even_stages(config.model.layers, p.pp) : p.pipeline_layers;
  return layout;
}

}  // namespace tessera::train
