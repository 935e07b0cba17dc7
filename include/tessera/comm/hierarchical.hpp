// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "tessera/comm/communicator.hpp"

namespace tessera::comm {

/// Collective. A communicator for a group that spans nodes with the same number of ranks in each, so that
/// most of the bytes stay on the fast links inside a node:
///
///     all_reduce      reduce-scatter inside, all-reduce across, all-gather inside
///     reduce_scatter  reduce-scatter inside, reduce-scatter across
///     all_gather      all-gather across, all-gather inside
///
/// `whole` is the group, `inside` its ranks on this node, `across` its ranks with the same place on the other
/// nodes. With m ranks inside, rank a*m + i of `whole` is rank i of `inside` and rank a of `across`;
/// otherwise CommError. Results are those of `whole`, in its order, for every count: elements that m does not
/// divide take a second, shorter path of all-reduces inside and across. Every other operation goes to
/// `whole`.
///
/// The two levels may be of different libraries: one between devices inside nodes, an MPI across. Each must
/// reach the memory that it is called with.
///
/// Over tree communicators (tree.hpp), with m a power of two, sums have the bits of a tree over `whole`: the
/// nearest neighbours are the ranks of a node. Operations under way in one communicator run one after
/// another.
[[nodiscard]] std::unique_ptr<Communicator> make_hierarchical(std::unique_ptr<Communicator> whole,
                                                              std::unique_ptr<Communicator> inside,
                                                              std::unique_ptr<Communicator> across);

}  // namespace tessera::comm
