// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>

#include "settings.hpp"
#include "tessera/comm/communicator.hpp"
#include "tessera/data/dataset.hpp"
#include "tessera/kernels/matmul.hpp"

namespace gpt_train {

/// What a run takes from outside, as found by `inspect`.
struct Inputs {
  std::optional<tessera::data::Dataset> dataset;
  std::unique_ptr<tessera::kernels::MatmulProvider> matmul;
};

/// Looks at what the rules of a configuration cannot know: the libraries there are, the data, the outputs.
/// Reports to `settings` all that is wrong with them, in this order, so that it stands in one message with
/// what the rules found. A value that is lost or impossible by itself is left out, and data are looked at as
/// far as the others allow. Rank 0 alone looks at the outputs. Nothing is written; not collective.
///
/// The inputs are complete if nothing was reported, by this or before.
void inspect(Settings& settings, tessera::comm::Communicator const& world, Inputs& inputs);

}  // namespace gpt_train
