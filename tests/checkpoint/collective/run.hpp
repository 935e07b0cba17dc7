// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What a trainer does with a saver and a loader, for tests: tensors whose elements follow from the step, cut
// at random among the ranks.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sample.hpp"
#include "tessera/checkpoint/loader.hpp"
#include "tessera/checkpoint/saver.hpp"
#include "tessera/comm/communicator.hpp"

namespace tessera::checkpoint::test {

/// The sample's tensors as they are after `step`.
std::vector<FullTensor> tensors_at(std::int64_t step);

/// What rank `rank` of `ranks` saves of `tensors`, which stay where they are: boxes that differ from seed to
/// seed, some from one dense memory, some from two, some from the middle of a larger one.
class Cut {
 public:
  Cut(std::vector<FullTensor> const& tensors, int rank, int ranks, std::uint64_t seed);
  [[nodiscard]] Snapshot const& at(std::int64_t step);

 private:
  std::vector<std::vector<std::byte>> memories_;
  Snapshot snapshot_;
};

/// Collective. Begins and finishes a save of tensors_at(step).
SaveResult save(Saver& saver, comm::Communicator& world, std::int64_t step, std::uint64_t seed = 1);

/// Collective. Opens `path` and compares what this rank reads, of boxes of another cut, with
/// tensors_at(step), where `step` is the one that the loader chose. Returns the loader.
Loader load_and_compare(comm::Communicator& world, std::string const& path, std::uint64_t seed = 2);

/// Collective. A folder of all ranks.
class SharedFolder {
 public:
  explicit SharedFolder(comm::Communicator& world);
  SharedFolder(SharedFolder const&) = delete;
  SharedFolder& operator=(SharedFolder const&) = delete;
  /// Collective.
  ~SharedFolder();
  [[nodiscard]] std::string path(std::string const& name = "") const;

 private:
  comm::Communicator& world_;
  std::unique_ptr<TemporaryFolder> folder_;
  std::string path_;
};

/// Collective. Names in the directory, as rank 0 sees them, without `lock`.
std::vector<std::string> names_in(comm::Communicator& world, std::string const& directory);

/// Collective. Rank 0 does something while the others wait.
void on_rank_0(comm::Communicator& world, std::function<void()> const& action);

/// Changes one bit in the middle of a file.
void flip_bit(std::string const& path);

}  // namespace tessera::checkpoint::test
