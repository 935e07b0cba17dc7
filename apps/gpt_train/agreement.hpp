// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>

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

/// Collective. Says whether any rank failed; if so prints one message, that of the lowest rank that did, and
/// returns its code, the same on every rank. So a problem that only some ranks see ends the job in good
/// order.
[[nodiscard]] std::optional<tessera::ExitCode> agree(tessera::comm::Communicator& world,
                                                     std::optional<Failure> const& failure);

/// Prints a failure as the program's last words, on standard error.
void print_failure(Failure const& failure);

}  // namespace gpt_train
