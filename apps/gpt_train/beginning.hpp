// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tessera/checkpoint/loader.hpp"
#include "tessera/checkpoint/saver.hpp"
#include "tessera/comm/communicator.hpp"
#include "tessera/train/plan.hpp"

namespace gpt_train {

/// Looks at the directories of `config.checkpoint`, before anything is written. Throws ConfigError, DataError
/// or IoError: `load` is absent or unreadable, `save` cannot be made or written, or has steps already
/// although the run begins anew. Not collective.
void check_load(tessera::train::RunConfig const& config);
void check_save(tessera::train::RunConfig const& config);

/// Where a run begins, and what it saves with.
struct Beginning {
  std::unique_ptr<tessera::checkpoint::Saver> saver;  ///< null: nothing is saved
  std::optional<tessera::checkpoint::Loader> loader;  ///< nothing: the run begins at step 0
  bool resumed = false;                               ///< the loader reads what the saver's directory has
  std::vector<std::string> notices;  ///< lines for the head of the run, the same on all ranks

  [[nodiscard]] std::int64_t step() const { return loader ? loader->manifest().step : 0; }
};

/// Collective over `world`, whose ranks are in mesh order and of which it keeps what it needs. Takes the lock
/// of the directory to save into, chooses what to begin from (--resume goes before --load where there is a
/// step), verifies it, and compares it with the run. Throws on all ranks, before anything large is allocated:
/// ConfigError with every difference in model, precision and tensors; what Saver and Loader throw.
[[nodiscard]] Beginning begin(std::unique_ptr<tessera::comm::Communicator> world,
                              tessera::train::RunConfig const& config, tessera::train::Plan const& plan,
                              std::int64_t training_samples);

}  // namespace gpt_train
