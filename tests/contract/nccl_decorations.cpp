// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The communicators over NCCL, which here is a double of it: every rank a thread with a device of its own.
#include <bit>

#include "contract/decorations.hpp"
#include "nccl/redirected.hpp"
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

std::unique_ptr<comm::Communicator> queued(std::unique_ptr<comm::Communicator> inner) {
  return comm::make_tree(std::move(inner), std::make_shared<support::DoubleQueues>());
}

std::unique_ptr<comm::Communicator> nccl_in_stream(comm::Communicator& group) {
  return std::make_unique<support::WithStream>(nccl(group));
}

/// As on a device: sums in tiles go on in queues.
std::unique_ptr<comm::Communicator> tree_in_queues(comm::Communicator& group) {
  if (!std::has_single_bit(static_cast<unsigned>(group.size()))) return nullptr;
  return std::make_unique<support::WithStream>(queued(nccl(group)));
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

std::unique_ptr<comm::Communicator> hierarchical_queues(comm::Communicator& group) {
  if (group.size() < 2 || !std::has_single_bit(static_cast<unsigned>(group.size()))) return nullptr;
  int const rank = group.rank();
  auto inside = queued(over_nccl(group, group.split(rank / 2, rank)));
  auto const fenced = [](std::unique_ptr<comm::Communicator> part) {
    return queued(std::make_unique<support::Fenced>(std::move(part)));
  };
  auto across = fenced(group.split(rank % 2, rank));
  return std::make_unique<support::WithStream>(
      comm::make_hierarchical(fenced(group.duplicate()), std::move(inside), std::move(across)));
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
                                           {"NcclInStream", &nccl_in_stream},
                                           {"NcclTreeInQueues", &tree_in_queues},
                                           {"HierarchicalOverQueues", &hierarchical_queues},
                                           {"HierarchicalOverNccl", &hierarchical_plain},
                                           {"HierarchicalOverNcclTrees", &hierarchical_trees},
                                           {"RecordedNccl", &recorded}};
  return all;
}

}  // namespace tessera::contract
