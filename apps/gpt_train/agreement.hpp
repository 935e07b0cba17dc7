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
  std::string message;
};

/// Runs `action`; an exception becomes a Failure.
[[nodiscard]] std::optional<Failure> attempt(std::function<void()> const& action);

/// Runs all `actions`, also after one has failed. Several failures become one, with all messages and the
/// first code.
[[nodiscard]] std::optional<Failure> attempt_all(std::vector<std::function<void()>> const& actions);

/// Collective. Says whether any rank failed; if so prints one message, that of the lowest rank that did, and
/// returns its code, the same on every rank. So a problem that only some ranks see ends the job in good
/// order.
[[nodiscard]] std::optional<tessera::ExitCode> agree(tessera::comm::Communicator& world,
                                                     std::optional<Failure> const& failure);

/// Ends the job of a rank that failed while the others compute or wait for it: says why, once for all ranks
/// that fail at about the same time, and aborts with its code.
[[noreturn]] void end_job(tessera::comm::Communicator& world, Failure const& failure);

/// Prints a failure as the program's last words, on standard error.
void print_failure(Failure const& failure);

}  // namespace gpt_train
