// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// How much memory there is, as opposed to how much a run needs (memory.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tessera/comm/communicator.hpp"

namespace tessera::train {

/// A bound on the memory of one or several processes.
struct MemoryLimit {
  std::string name;       ///< for messages: "the machine", "control group /sys/fs/cgroup/job", "ulimit -v"
  std::uint64_t id = 0;   ///< the same for all processes of a node under the same bound; 0: this one alone
  std::size_t bytes = 0;  ///< that can still be taken under it
};

/// Every bound on this process that the system tells:
/// - the machine: MemAvailable of /proc/meminfo;
/// - each memory control group from the process's own (/proc/self/cgroup) up to the root, of version 2
///   (memory.max, memory.current) or 1 (memory.limit_in_bytes, memory.usage_in_bytes): the limit less what is
///   used, where inactive file pages (memory.stat) do not count as used, as they give way;
/// - `ulimit -v`: what it leaves beyond the present size of the process.
/// Files that are missing or not understood bound nothing. `root` is the folder in which the files of the
/// system are looked for; `ulimit` is always that of the process.
[[nodiscard]] std::vector<MemoryLimit> memory_limits(std::filesystem::path const& root = "/");

/// What the ranks under one limit need together, and have.
struct NodeMemory {
  std::string limit;
  int ranks = 1;
  std::size_t needs_bytes = 0;
  std::size_t has_bytes = 0;

  [[nodiscard]] bool enough() const { return needs_bytes <= has_bytes; }
  /// An even share.
  [[nodiscard]] std::size_t has_bytes_per_rank() const { return has_bytes / static_cast<std::size_t>(ranks); }
};

/// Collective over the ranks of a node. Adds up what its ranks need under each of their `limits` and gives
/// the one of this rank's that is left least, in proportion; nothing if the rank has no limits.
[[nodiscard]] std::optional<NodeMemory> fit_in_node(comm::Communicator& node, std::size_t needs_bytes,
                                                    std::vector<MemoryLimit> const& limits);

/// Largest resident set of this process so far, VmHWM; 0 if it cannot be read.
[[nodiscard]] std::size_t peak_resident_bytes();

}  // namespace tessera::train
