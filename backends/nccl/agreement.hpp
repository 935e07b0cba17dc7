// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <functional>

#include "tessera/comm/communicator.hpp"

namespace tessera::backends::nccl {

/// Collective over `group`. Runs `action` on every rank. Where it threw on one, all throw, so that nobody
/// goes on to wait for that rank: a rank that failed its own error, the others an error of the same kind that
/// names the first that failed and has its words.
void together(comm::Communicator& group, std::function<void()> const& action);

}  // namespace tessera::backends::nccl
