// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/room_options.hpp"

namespace tessera::train {

data::DatasetOptions dataset_options(RunConfig const& config) {
  data::DatasetOptions options;
  options.path = config.data.path;
  options.format = config.data.format;
  options.validation_path = config.data.validation_path;
  options.validation_fraction = config.data.validation_fraction;
  options.validates = config.training.eval_interval > 0;
  options.seq_length = config.batch.seq_length;
  options.seed = static_cast<std::uint64_t>(config.training.seed);
  options.vocab_size = config.model.vocab_size;
  return options;
}

mesh::MeshOptions mesh_options(RunConfig const& config) {
  mesh::MeshOptions options;
  options.order = config.parallel.mesh_order;
  options.ranks_per_node = config.parallel.ranks_per_node;
  options.allow_split_tp = config.parallel.allow_split_tp;
  options.explicit_tiles = config.parallel.tiles > 0;
  options.tp_backend = mesh::axis_backend(config.parallel.tp_backend).value();
  options.dp_backend = mesh::axis_backend(config.parallel.dp_backend).value();
  options.pp_backend = mesh::axis_backend(config.parallel.pp_backend).value();
  return options;
}

}  // namespace tessera::train
