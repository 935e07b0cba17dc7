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

/// Collective. Where the ranks run, a line each, and whether they get in each other's way; on rank 0.
[[nodiscard]] Findings find_places(tessera::comm::Communicator& world);

/// Limits that the system sets this process.
[[nodiscard]] Findings find_limits();

/// Whether checkpoints of so many bytes can be kept in `directory`: it is tried out with a small file, which
/// is taken away again.
[[nodiscard]] Findings find_directory(std::string const& directory, double bytes_of_one, int checkpoints);

}  // namespace gpt_train
