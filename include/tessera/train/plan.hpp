// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// From a configuration and a place in the mesh to what one rank builds. Pure: nothing is allocated and nobody
// is asked, so a plan can be made for any rank of any layout on a laptop (`--dry-run`).
#pragma once

#include <vector>

#include "tessera/mesh/placement.hpp"
#include "tessera/model/stage.hpp"
#include "tessera/pipeline/schedule.hpp"
#include "tessera/train/validation.hpp"

namespace tessera::train {

/// A rank's place on the axes of the mesh.
struct Place {
  int tp = 0, pp = 0, dp = 0;
};

struct Plan {
  Layout layout;
  Place place;
  std::vector<params::TensorSpec> specs;  ///< every tensor of the model, canonical order
  model::StageLayout stage;
  std::int64_t first_microbatch = 0;  ///< of this replica, among the M of a step
  /// Whether sums over tp, over dp and between the tied tables go in trees, for whose scratch memory is
  /// predicted. A mesh knows; make_plan takes the nodes from parallel.ranks_per_node, or all ranks to be on
  /// one.
  bool tree_over_tp = false, tree_over_dp = false, tree_over_tied = false;

  /// Tokens of one step over all replicas.
  [[nodiscard]] std::int64_t tokens_per_step() const { return layout.microbatches * stage.tokens.rows(); }
};

/// `layout` is resolve()'s for `config`.
[[nodiscard]] Plan make_plan(RunConfig const& config, Layout const& layout, Place place);

/// Where the ranks are, in mesh order, if the nodes are as parallel.ranks_per_node says.
[[nodiscard]] std::vector<mesh::Location> planned_locations(RunConfig const& config,
                                                            mesh::MeshShape const& shape);

/// How the sums of an axis would go, and over which links, if the nodes are as parallel.ranks_per_node says.
[[nodiscard]] mesh::AxisPlan planned_axis(RunConfig const& config, mesh::MeshShape const& shape,
                                          mesh::Axis axis);

/// Makes `plan` that of another rank of the same run; the tensors, which take most of the time, stay.
void move_plan(Plan& plan, RunConfig const& config, Place place);

/// The list of this rank's stage in the schedule of a training step; those of other stages are empty.
[[nodiscard]] pipeline::Schedule training_schedule(RunConfig const& config, Plan const& plan);

/// The stage that samples text after training: one sequence at a time, no gradients.
[[nodiscard]] model::StageLayout sampling_stage(Plan const& plan);

}  // namespace tessera::train
