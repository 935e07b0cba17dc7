// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/plan.hpp"

#include <numeric>

#include "tessera/base/kokkos.hpp"
#include "tessera/model/specs.hpp"
#include "tessera/pipeline/generators.hpp"

namespace tessera::train {

namespace {

/// Token tiles order the sums over positions. Without explicit tiles they only say who owns which positions.
layers::TileRange token_tiles(RunConfig const& config, Layout const& layout, int tp_rank) {
  if (config.parallel.sequence_parallel) return layers::TileRange::of_rank(layout.tiles, tp_rank, layout.tp);
  return layers::TileRange::all(layout.explicit_tiles ? layout.tiles : 1);
}

/// Whether what is asked for exists depends on nodes that are not known here: then the plan is the usual one.
mesh::AxisWish wish_for(ParallelConfig const& p, mesh::Axis axis) {
  constexpr bool devices = !tensors_on_host;
  auto const& name = axis == mesh::Axis::tp   ? p.tp_backend
                     : axis == mesh::Axis::dp ? p.dp_backend
                                              : p.pp_backend;
  bool const exists = name == "mpi" || (name == "nccl" && devices);
  return {exists ? mesh::axis_backend(name).value() : mesh::AxisBackend::automatic, devices};
}

}  // namespace

Plan make_plan(RunConfig const& config, Layout const& layout, Place place) {
  Plan plan;
  plan.layout = layout;
  plan.specs = model::tensor_specs(config.model, layout.tiles, layout.head_tiles);
  mesh::MeshShape const shape{layout.tp, layout.pp, layout.dp};
  plan.tree_over_tp = planned_axis(config, shape, mesh::Axis::tp).tree;
  plan.tree_over_dp = planned_axis(config, shape, mesh::Axis::dp).tree;
  plan.tree_over_tied = layout.explicit_tiles && planned_axis(config, shape, mesh::Axis::pp).devices;
  move_plan(plan, config, place);
  return plan;
}

std::vector<mesh::Location> planned_locations(RunConfig const& config, mesh::MeshShape const& shape) {
  mesh::MeshIndex const index(shape, config.parallel.mesh_order);
  auto const locations = mesh::locations_by_hand(index.size(), config.parallel.ranks_per_node);
  return mesh::in_mesh_order(mesh::place_ranks(index, locations), locations);
}

mesh::AxisPlan planned_axis(RunConfig const& config, mesh::MeshShape const& shape, mesh::Axis axis) {
  return mesh::plan_axis(mesh::MeshIndex(shape, config.parallel.mesh_order), axis,
                         planned_locations(config, shape), config.parallel.tiles > 0,
                         wish_for(config.parallel, axis));
}

void move_plan(Plan& plan, RunConfig const& config, Place place) {
  using layers::TileRange;
  auto const& layout = plan.layout;
  plan.place = place;
  plan.first_microbatch = place.dp * layout.microbatches_per_replica;

  auto& stage = plan.stage;
  stage.stage = place.pp;
  stage.stages = layout.pp;
  auto const own = layout.stage_layers.begin() + place.pp;
  stage.first_layer = std::reduce(layout.stage_layers.begin(), own, std::int64_t{0});
  stage.layers = *own;
  stage.block = {config.model.hidden_size, layout.ffn_hidden_size, config.model.heads,
                 TileRange::of_rank(layout.head_tiles, place.tp, layout.tp),
                 TileRange::of_rank(layout.tiles, place.tp, layout.tp)};
  stage.vocabulary_tiles = TileRange::of_rank(layout.tiles, place.tp, layout.tp);
  stage.tokens = {config.batch.micro_batch_size, config.batch.seq_length,
                  token_tiles(config, layout, place.tp)};
  stage.sequence_parallel = config.parallel.sequence_parallel && layout.tp > 1;
  stage.batch_tiles = {layout.batch_tiles / layout.dp,
                       static_cast<int>(layout.microbatches / layout.batch_tiles)};
  stage.slots = pipeline::closed_form_slots(config.parallel.schedule, layout.pp,
                                            static_cast<int>(layout.microbatches_per_replica), place.pp);
}

pipeline::Schedule training_schedule(RunConfig const& config, Plan const& plan) {
  return pipeline::make_schedule(config.parallel.schedule, plan.layout.pp,
                                 static_cast<int>(plan.layout.microbatches_per_replica), plan.place.pp);
}

model::StageLayout sampling_stage(Plan const& plan) {
  auto stage = plan.stage;
  stage.tokens.batch = 1;
  stage.slots = 1;
  stage.training = false;
  return stage;
}

}  // namespace tessera::train
