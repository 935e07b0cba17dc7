// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What tests that run under mpirun share. The test program's main (parallel_main.cpp) opens the session; a
// test body runs on all ranks at once.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>

#include "tessera/comm/communicator.hpp"

namespace tessera::support {

/// All ranks of the test program, from the backend "mpi".
comm::Communicator& world();

/// Collective over world(). The ranks of world() in groups of `ranks` neighbours: the group of this rank, or
/// null where fewer than `ranks` are left over.
[[nodiscard]] std::unique_ptr<comm::Communicator> group_of(int ranks);

/// Collective over world(). Runs `body` on groups of each size that world() can form, so that one mpirun
/// covers several rank counts. Failures inside name the size.
void for_each_group(std::initializer_list<int> sizes, std::function<void(comm::Communicator&)> const& body);

}  // namespace tessera::support
