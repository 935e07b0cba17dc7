// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The communicators over NCCL, which here is a double of it: every rank a thread with a device of its own.
#include <bit>

#include "contract/decorations.hpp"
#include "support/cuda_double/control.hpp"
#include "tessera/backends/nccl.hpp"
#include "tessera/comm/hierarchical.hpp"
#include "tessera/comm/recorded.hpp"
#include "tessera/comm/tree.hpp"

namespace tessera::contract {

namespace {

std::unique_ptr<comm::Communicator> over_nccl(comm::Communicator& whole,
                                              std::unique_ptr<comm::Communicator> part) {
  support::cuda_double::set_all_memory_on_device(true);
  return backends::nccl::open(whole, {})->over(std::move(part));
}

std::unique_ptr<comm::Communicator> threads(comm::Communicator& group) { return group.duplicate(); }

std::unique_ptr<comm::Communicator> nccl(comm::Communicator& group) {
  return over_nccl(group, group.duplicate());
}

std::unique_ptr<comm::Communicator> tree(comm::Communicator& group) {
  if (!std::has_single_bit(static_cast<unsigned>(group.size()))) return nullptr;
  return comm::make_tree(nccl(group));
}

/// NCCL among each two neighbours, another communicator from pair to pair.
std::unique_ptr<comm::Communicator> hierarchical(comm::Communicator& group, bool trees) {
  if (group.size() % 2 != 0) return nullptr;
  int const rank = group.rank();
  auto inside = over_nccl(group, group.split(rank / 2, rank));
  auto across = group.split(rank % 2, rank);
  auto whole = group.duplicate();
  if (!trees) return comm::make_hierarchical(std::move(whole), std::move(inside), std::move(across));
  return comm::make_hierarchical(comm::make_tree(std::move(whole)), comm::make_tree(std::move(inside)),
                                 comm::make_tree(std::move(across)));
}

std::unique_ptr<comm::Communicator> hierarchical_plain(comm::Communicator& group) {
  return hierarchical(group, false);
}

std::unique_ptr<comm::Communicator> hierarchical_trees(comm::Communicator& group) {
  return std::has_single_bit(static_cast<unsigned>(group.size())) ? hierarchical(group, true) : nullptr;
}

std::unique_ptr<comm::Communicator> recorded(comm::Communicator& group) {
  thread_local comm::Ledger ledger;
  return comm::make_recorded(nccl(group), ledger, "test");
}

}  // namespace

std::vector<Decoration> const& decorations() {
  static std::vector<Decoration> const all{{"Threads", &threads},
                                           {"Nccl", &nccl},
                                           {"NcclTree", &tree},
                                           {"HierarchicalOverNccl", &hierarchical_plain},
                                           {"HierarchicalOverNcclTrees", &hierarchical_trees},
                                           {"RecordedNccl", &recorded}};
  return all;
}

}  // namespace tessera::contract
