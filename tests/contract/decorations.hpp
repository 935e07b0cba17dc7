// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The communicators that one body of tests is run on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tessera/comm/communicator.hpp"

namespace tessera::contract {

/// A way to build a communicator on the ranks of a group.
struct Decoration {
  std::string name;
  /// Collective. Null on all ranks where the kind does not exist for a group of this size.
  std::unique_ptr<comm::Communicator> (*make)(comm::Communicator& group);
};

/// mpi, loopback, tree(mpi), hierarchical(mpi), hierarchical(tree(mpi)), recorded(mpi).
std::vector<Decoration> const& decorations();

/// Collective. A hierarchical communicator that takes each two neighbours of `group` for a node; null for an
/// odd or too small group. With `trees`, over tree communicators.
std::unique_ptr<comm::Communicator> make_pairs_hierarchical(comm::Communicator& group, bool trees);

}  // namespace tessera::contract
