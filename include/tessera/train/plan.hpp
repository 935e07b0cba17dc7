// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// From a configuration and a place in the mesh to what one rank builds. Pure: nothing is allocated and nobody
// is asked, so a plan can be made for any rank of any layout on a laptop (`--dry-run`).
#pragma once

#include <vector>

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
  pipeline::Schedule schedule;        ///< of a training step
  std::int64_t first_microbatch = 0;  ///< of this replica, among the M of a step

  /// Tokens of one step over all replicas.
  [[nodiscard]] std::int64_t tokens_per_step() const { return layout.microbatches * stage.tokens.rows(); }
};

/// `layout` is resolve()'s for `config`.
[[nodiscard]] Plan make_plan(RunConfig const& config, Layout const& layout, Place place);

/// The stage that samples text after training: one sequence at a time, no gradients.
[[nodiscard]] model::StageLayout sampling_stage(Plan const& plan);

}  // namespace tessera::train
