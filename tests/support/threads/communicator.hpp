// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Ranks that are threads of one process, and a communicator between them: where a test of many ranks needs no
// second process, and in place of an MPI below and beside a double of a library for devices.
#pragma once

#include <functional>
#include <memory>
#include <stdexcept>

#include "tessera/comm/communicator.hpp"

namespace tessera::support {

/// What abort throws, as ending the process would end the test.
struct Aborted : std::runtime_error {
  explicit Aborted(int exit_code) : std::runtime_error("aborted"), code(exit_code) {}
  int code;
};

/// Runs `body(world)` on `ranks` threads, each the rank of its number; each `ranks_per_node` of them are a
/// node (0: all one). When one throws, everything that the others have under way in the world or its children
/// fails, and `on_failure(rank)` is called, on the thread that failed. Returns when all have ended: what each
/// rank threw.
std::vector<std::exception_ptr> run_ranks(int ranks, int ranks_per_node,
                                          std::function<void(comm::Communicator&)> const& body,
                                          std::function<void(int)> const& on_failure = {});

/// The same, rethrowing what the first rank that failed threw.
void run_ranks_well(int ranks, int ranks_per_node, std::function<void(comm::Communicator&)> const& body);

}  // namespace tessera::support
