// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "departure.hpp"
#include "inspection.hpp"
#include "tessera/base/exit_code.hpp"
#include "tessera/comm/session.hpp"
#include "tessera/train/run_config.hpp"
#include "tessera/train/signals.hpp"

namespace gpt_train {

/// Trains as `config`, already checked for the ranks of `world`, says, with the `inputs` that `inspect` found
/// for it. A run that saves listens to `signals`, and its time limit counts from `start`. Collective over the
/// job; the same code on every rank, or, if a rank fails while the others compute, the job is aborted with
/// that rank's code.
[[nodiscard]] tessera::ExitCode run_training(tessera::comm::Session& session,
                                             tessera::comm::Communicator& world,
                                             tessera::train::RunConfig const& config, Inputs inputs,
                                             tessera::train::SignalWatch const* signals,
                                             Departure::Clock::time_point start);

}  // namespace gpt_train
