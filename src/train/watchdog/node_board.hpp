// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tessera/comm/call_board.hpp"
#include "tessera/comm/communicator.hpp"

namespace tessera::train {

/// The records of the processes of a node, in memory that they share. Where they cannot share (no room in
/// /dev/shm, processes that do not see each other) each process counts as a node of its own.
class NodeBoard {
 public:
  /// Collective over `world`.
  explicit NodeBoard(comm::Communicator& world);
  NodeBoard(NodeBoard const&) = delete;
  NodeBoard& operator=(NodeBoard const&) = delete;
  ~NodeBoard();

  [[nodiscard]] std::span<comm::ProcessRecord> records() const noexcept { return {records_, count_}; }
  [[nodiscard]] comm::ProcessRecord& own() const noexcept { return records_[own_]; }
  /// Ranks of `world` by record.
  [[nodiscard]] std::vector<int> const& ranks() const noexcept { return ranks_; }
  /// The lowest rank of the node whose process runs; at most this one, which does.
  [[nodiscard]] int lowest_living() const;
  /// Takes the node's report for this process: false while another has had it for less than `time`.
  [[nodiscard]] bool claim_report(std::chrono::milliseconds time) const noexcept;
  /// For the process that has claimed the report and finds nothing to tell.
  void release_report() const noexcept { records().front().claimed = 0; }
  /// Sets a flag in the orders of all processes of the node.
  void order_all(std::uint32_t order) const noexcept;
  /// The same for the order to end, which they obey at one moment, those that were stopped as well: a
  /// launcher kills what is left when it sees the first end, and some then give the code of a killed process.
  void order_end_of_all(std::uint32_t order, std::chrono::milliseconds delay) const noexcept;
  void wait_for_end() const noexcept;

 private:
  bool map_shared(comm::Communicator& node);
  void map_private();
  void fill_own(int rank);

  comm::ProcessRecord* records_ = nullptr;
  std::size_t count_ = 1, own_ = 0;
  std::vector<int> ranks_;
};

}  // namespace tessera::train
