// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What a RunConfig says to the rooms that know nothing of it.
#pragma once

#include "tessera/data/dataset.hpp"
#include "tessera/mesh/mesh.hpp"
#include "tessera/train/run_config.hpp"

namespace tessera::train {

/// The data of a run. Without validation (training.eval_interval = 0) no part of it is set aside for one.
[[nodiscard]] data::DatasetOptions dataset_options(RunConfig const& config);

/// How the ranks of a run become a mesh; the shape is resolve()'s (validation.hpp).
[[nodiscard]] mesh::MeshOptions mesh_options(RunConfig const& config);

}  // namespace tessera::train
