// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "inspection.hpp"

#include <fmt/format.h>

#include <limits>

#include "beginning.hpp"
#include "outputs.hpp"
#include "tessera/train/precision.hpp"
#include "tessera/train/room_options.hpp"

namespace gpt_train {

namespace train = tessera::train;

namespace {

void check_backend(RunConfig const& config, tessera::comm::Communicator const& world) {
  auto const& wanted = config.parallel.backend;
  if (wanted == "auto" || wanted == world.backend()) return;
  if (fmt::format("staging({})", wanted) == world.backend()) return;
  throw tessera::ConfigError({fmt::format(
      "parallel.backend = \"{}\": this job communicates by {}; \"loopback\" is for one process started "
      "without a launcher, \"mpi\" for one started by mpirun or srun, \"auto\" takes what fits",
      wanted, world.backend())});
}

/// The data's options with a harmless stand-in for each that is no use: so a missing file is found in any
/// case, and a short one only where the length is known.
tessera::data::DatasetOptions usable_options(Settings const& settings) {
  auto const& config = settings.config();
  auto options = train::dataset_options(config);
  auto const usable = [&](std::string_view section, std::string_view key, bool possible) {
    return possible && !settings.doubtful(section, key);
  };
  bool const learned = options.seq_length > 0 && options.seq_length <= config.model.max_positions;
  if (!usable("batch", "seq_length", learned)) options.seq_length = 1;
  auto const most_vocab = std::numeric_limits<std::int32_t>::max();
  if (!usable("model", "vocab_size", options.vocab_size > 0 && options.vocab_size <= most_vocab))
    options.vocab_size = most_vocab;
  if (!usable("data", "validation_fraction",
              options.validation_fraction >= 0 && options.validation_fraction < 1))
    options.validation_fraction = 0;
  return options;
}

bool is_token_format(std::string const& format) {
  return format == "auto" || format == "bytes" || format == "llmc" || format == "u16";
}

void open_data(Settings& settings, tessera::comm::Communicator const& world, Inputs& inputs) {
  auto const& data = settings.config().data;
  for (auto const* const key : {"path", "format", "validation_path"}) {
    if (settings.doubtful("data", key)) return;
  }
  if (data.path.empty() || !is_token_format(data.format)) return;
  settings.attempt([&] {
    inputs.dataset.emplace(usable_options(settings));
    inputs.dataset->check_tokens(world.rank(), world.size());
  });
}

}  // namespace

void inspect(Settings& settings, tessera::comm::Communicator const& world, Inputs& inputs) {
  auto const& config = settings.config();
  if (!settings.doubtful("parallel", "backend")) settings.attempt([&] { check_backend(config, world); });
  if (!settings.doubtful("parallel", "matmul")) {
    settings.attempt([&] {
      inputs.matmul =
          tessera::kernels::make_matmul_provider(config.parallel.matmul, train::compute_type(config));
    });
  }
  open_data(settings, world, inputs);
  if (world.rank() != 0) return;
  settings.attempt([&] { check_load(config); });
  settings.attempt([&] { check_save(config); });
  auto const data_files = inputs.dataset ? inputs.dataset->files() : std::vector<std::string>{};
  settings.attempt([&] { check_outputs(config, settings.config_file(), data_files); });
}

}  // namespace gpt_train
