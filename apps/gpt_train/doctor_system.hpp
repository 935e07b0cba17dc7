// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What `gpt_train doctor` finds in the system: libraries, places of the ranks, limits, a directory.
#pragma once

#include <string>

#include "findings.hpp"
#include "tessera/comm/session.hpp"

namespace gpt_train {

/// Versions of what this binary is made of, and whether its launcher fits.
[[nodiscard]] Findings find_libraries(tessera::comm::Session const& session, int world_size);

struct Places {
  Findings findings;     ///< on rank 0
  bool crowded = false;  ///< a host has more ranks than cores; on all ranks
};

/// Collective. Where the ranks run, a line each, and whether they get in each other's way.
[[nodiscard]] Places find_places(tessera::comm::Communicator& world);

/// Whether the MPI of this process was told to let waiting ranks give their core away.
[[nodiscard]] bool waiting_yields();

/// Limits that the system sets this process.
[[nodiscard]] Findings find_limits();

/// Whether checkpoints of so many bytes can be kept in the directory `wanted`: it, or where a run would make
/// it, is tried out with a small file, which is taken away again.
[[nodiscard]] Findings find_directory(std::string const& wanted, double bytes_of_one, int checkpoints);

/// Collective. Whether all ranks see the directory that find_directory tries out on rank 0; on all ranks.
[[nodiscard]] Findings find_sharing(tessera::comm::Communicator& world, std::string const& wanted);

}  // namespace gpt_train
