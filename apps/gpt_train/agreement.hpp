// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tessera/base/error.hpp"
#include "tessera/comm/communicator.hpp"

namespace gpt_train {

/// Why a rank cannot go on.
struct Failure {
  tessera::ExitCode code = tessera::ExitCode::internal;
  std::vector<std::string> problems;  ///< one at least
};

/// Runs `action`; an exception becomes a Failure.
[[nodiscard]] std::optional<Failure> attempt(std::function<void()> const& action);

/// Collective. Says whether any rank failed; if so prints one message with the problems of all ranks, each
/// once, and returns one code, the same on every rank: of the codes there are, usage goes before config, that
/// before others, and cannot_create comes last. So a problem that only some ranks see ends the job in good
/// order.
[[nodiscard]] std::optional<tessera::ExitCode> agree(tessera::comm::Communicator& world,
                                                     std::optional<Failure> const& failure);

/// Ends the job of a rank that failed while the others compute or wait for it: says why and aborts with its
/// code. Not collective, but each rank that fails tells the ranks above it, so of those that fail at about
/// the same time only the lowest speaks: rank 0 at once, another after half a second without news from below.
/// `world` has no messages between two ranks under way.
[[noreturn]] void end_job(tessera::comm::Communicator& world, Failure const& failure);

/// Prints a failure as the program's last words, on standard error.
void print_failure(Failure const& failure);

}  // namespace gpt_train
