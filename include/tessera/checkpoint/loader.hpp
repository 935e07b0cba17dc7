// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The newest checkpoint that is whole, agreed on by all ranks. It may have been written by any number of
// ranks in any layout: a rank reads the slices it owns (reader.hpp), so no rank holds a whole tensor.
//
//   auto const loader = Loader::open(*world, "run/checkpoints");
//   if (auto const problems = loader.differences(tensors); !problems.empty()) ...
//   loader.read(my_slices);
#pragma once

#include <string>
#include <vector>

#include "tessera/checkpoint/reader.hpp"
#include "tessera/comm/communicator.hpp"

namespace tessera::checkpoint {

/// A step that was not loaded, and why.
struct Skipped {
  std::string directory;
  std::string reason;
};

class Loader : public Reader {
 public:
  /// Collective. `path` is a checkpoint's directory, or a directory of them: then the newest step that is
  /// whole, whatever `latest` says. Rank 0 reads the manifest and hands its text to all; every byte of the
  /// files is then hashed once, each rank doing its share of the bytes, and the verdict is common. A step
  /// with a problem is skipped and the next older one is tried.
  ///
  /// Throws on all ranks the same DataError with every reason when no step is whole: no_input when there is
  /// no step at all or no such directory, else the code of the newest step's problem (data, permission).
  [[nodiscard]] static Loader open(comm::Communicator& world, std::string const& path);

  /// Not collective. Whether the directory has a step, whole or not; false also where there is no such
  /// directory. What "resume if there is something to resume from" asks, on one rank.
  [[nodiscard]] static bool any_step(std::string const& directory);

  /// Newer steps that were passed over, newest first; the same on all ranks.
  [[nodiscard]] std::vector<Skipped> const& skipped() const noexcept { return skipped_; }

 private:
  Loader(std::string directory, Manifest manifest, std::vector<Skipped> skipped);
  std::vector<Skipped> skipped_;
};

}  // namespace tessera::checkpoint
