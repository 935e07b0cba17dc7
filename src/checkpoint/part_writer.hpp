// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What a writer thread does: one file out of one rank's parts.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tessera/checkpoint/saver.hpp"
#include "tessera/comm/communicator.hpp"

namespace tessera::checkpoint {

/// What one rank has written: its file and the boxes there, if it had any.
struct Written {
  struct Place {
    std::size_t tensor = 0;
    Shard shard;
  };
  std::optional<FileEntry> file;
  std::vector<Place> places;
};

/// Where and as whom.
struct WriteJob {
  std::string directory;  ///< made if it is not there
  std::string file;
  std::string writer;
  std::int64_t step = 0;
};

/// Writes `parts`, which point into `tensors`, into one file; none: no file. Throws IoError; then, and when
/// `cancelled` turns true on the way, the file is gone.
Written write_parts(WriteJob const& job, std::span<TensorEntry const> tensors, std::span<Part const> parts,
                    std::atomic<bool> const& cancelled);

/// Collective, and blocks. On rank 0: `manifest` gets the files and tensors that all ranks have written.
void gather_written(comm::Communicator& world, Written const& own, std::span<TensorEntry const> tensors,
                    Manifest& manifest);

}  // namespace tessera::checkpoint
