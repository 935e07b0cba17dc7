// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "contract/decorations.hpp"

#include <bit>
#include <deque>

#include "tessera/comm/checked.hpp"
#include "tessera/comm/hierarchical.hpp"
#include "tessera/comm/recorded.hpp"
#include "tessera/comm/session.hpp"
#include "tessera/comm/staging.hpp"
#include "tessera/comm/tree.hpp"
#include "tessera/comm/watched.hpp"

namespace tessera::contract {

namespace {

std::unique_ptr<comm::Communicator> plain(comm::Communicator& group) { return group.duplicate(); }

std::unique_ptr<comm::Communicator> loopback(comm::Communicator& group) {
  if (group.size() != 1) return nullptr;
  int argc = 0;
  char** argv = nullptr;
  return comm::open_session("loopback", argc, argv)->world();
}

std::unique_ptr<comm::Communicator> tree(comm::Communicator& group) {
  if (!std::has_single_bit(static_cast<unsigned>(group.size()))) return nullptr;
  return comm::make_tree(group.duplicate());
}

std::unique_ptr<comm::Communicator> hierarchical(comm::Communicator& group) {
  return make_pairs_hierarchical(group, false);
}

std::unique_ptr<comm::Communicator> hierarchical_trees(comm::Communicator& group) {
  if (!std::has_single_bit(static_cast<unsigned>(group.size()))) return nullptr;
  return make_pairs_hierarchical(group, true);
}

/// Chunks that cut the largest count of the tests, in float and double.
std::unique_ptr<comm::Communicator> staging(comm::Communicator& group) {
  return comm::make_staging(group.duplicate(), {.chunk_bytes = 50000, .always = true});
}

/// As over an MPI that reads a device's memory.
std::unique_ptr<comm::Communicator> staged_sums(comm::Communicator& group) {
  return comm::make_staging(group.duplicate(), {.chunk_bytes = 50000, .always = true, .sums_only = true});
}

/// Fixed-order sums over staged messages, as tensors of a device are summed over an MPI that reads host
/// memory.
std::unique_ptr<comm::Communicator> tree_over_staging(comm::Communicator& group) {
  if (!std::has_single_bit(static_cast<unsigned>(group.size()))) return nullptr;
  return comm::make_tree(staging(group));
}

std::unique_ptr<comm::Communicator> recorded(comm::Communicator& group) {
  static comm::Ledger ledger;
  return comm::make_recorded(group.duplicate(), ledger, "test");
}

std::unique_ptr<comm::Communicator> watched(comm::Communicator& group) {
  static std::deque<comm::ProcessRecord> records;  // each has room for a few communicators
  return comm::make_watched(group.duplicate(), records.emplace_back(), "test");
}

std::unique_ptr<comm::Communicator> checked(comm::Communicator& group) {
  return comm::make_checked(group.duplicate(), "test", group.rank());
}

}  // namespace

std::vector<Decoration> const& decorations() {
  static std::vector<Decoration> const all{{"Mpi", &plain},
                                           {"Loopback", &loopback},
                                           {"Tree", &tree},
                                           {"Hierarchical", &hierarchical},
                                           {"HierarchicalTrees", &hierarchical_trees},
                                           {"Staging", &staging},
                                           {"StagedSums", &staged_sums},
                                           {"TreeOverStaging", &tree_over_staging},
                                           {"Recorded", &recorded},
                                           {"Watched", &watched},
                                           {"Checked", &checked}};
  return all;
}

std::unique_ptr<comm::Communicator> make_pairs_hierarchical(comm::Communicator& group, bool trees) {
  if (group.size() % 2 != 0) return nullptr;
  int const rank = group.rank();
  auto inside = group.split(rank / 2, rank);
  auto across = group.split(rank % 2, rank);
  if (!trees) return comm::make_hierarchical(group.duplicate(), std::move(inside), std::move(across));
  return comm::make_hierarchical(comm::make_tree(group.duplicate()), comm::make_tree(std::move(inside)),
                                 comm::make_tree(std::move(across)));
}

}  // namespace tessera::contract
