// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The copies that a writer thread works on: each box dense, row-major, in memory that is made once and used
// by every save. With several ranks per file, the first rank of a group holds those of all.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "checkpoint/agreement.hpp"
#include "tessera/checkpoint/saver.hpp"
#include "tessera/comm/communicator.hpp"

namespace tessera::checkpoint {

/// Memory on huge pages where the system has them, every page already handed out.
class TouchedMemory {
 public:
  /// Makes room for so many bytes; what was there is lost if it has to grow. Throws MemoryError.
  void reserve(std::size_t bytes);
  [[nodiscard]] std::byte* data() const noexcept { return data_.get(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct Free {
    void operator()(std::byte* memory) const noexcept;
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t bytes_ = 0;
};

/// The ranks that share a file, and the copies for it.
class Staging {
 public:
  /// Collective over `world`. `nodes` as in SaverOptions.
  Staging(comm::Communicator& world, int ranks_per_file, std::vector<int> const& nodes);

  /// Whether this rank writes the file of its group.
  [[nodiscard]] bool writes() const noexcept { return !group_ || group_->rank() == 0; }
  /// Whether the ranks write straight from where the elements are, if they may wait for the disk.
  [[nodiscard]] bool alone() const noexcept { return !group_; }
  /// Of the memory that there is for copies.
  [[nodiscard]] std::size_t bytes() const noexcept { return memory_.bytes(); }

  /// Collective over the group. Makes the memory for what `copy` needs. Throws MemoryError on the whole
  /// group, which says whose it is unless this rank is alone.
  void reserve(Snapshot const& snapshot);

  /// Collective over the group. Copies what this rank is to write; the result, whose sources are one dense
  /// memory each, stays until the next call. Throws on the whole group.
  [[nodiscard]] std::vector<Part> copy(Snapshot const& snapshot);

 private:
  struct Plan;
  std::vector<Part> all_parts(Snapshot const& snapshot, std::vector<std::size_t>& ends) const;
  Plan prepare(Snapshot const& snapshot);
  void send_parts(Snapshot const& snapshot);
  void receive_parts(Plan const& plan, Snapshot const& snapshot, std::size_t peer);

  int rank_;                                   // of the world
  std::unique_ptr<comm::Communicator> group_;  // null: every rank has its own file
  TouchedMemory memory_;
};

}  // namespace tessera::checkpoint
