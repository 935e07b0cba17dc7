// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Runs that are cut, saved, loaded and go on.
#pragma once

#include <string>
#include <vector>

#include "layouts.hpp"

namespace tessera::train::test {

/// A folder that all ranks of support::world() see and that goes away with the test. Collective.
class SharedFolder {
 public:
  SharedFolder();
  SharedFolder(SharedFolder const&) = delete;
  SharedFolder& operator=(SharedFolder const&) = delete;
  ~SharedFolder();
  [[nodiscard]] std::string path(std::string const& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// Losses and gradient norms of steps, and what the weights are after the last.
struct Steps {
  std::vector<double> numbers;
  std::uint64_t weights_hash = 0;
};

/// Collective over the run. Makes steps until `steps_done`; not finite ones are skipped.
template <class T>
Steps train_until(TrainingRun<T>& run, std::int64_t steps_done);

/// Collective over `group`, which is the run's. Saves it into `directory`, asynchronously or not.
template <class T>
void save(comm::Communicator& group, TrainingRun<T>& run, std::string const& directory,
          bool synchronous = false);

/// The same for loading; expects a checkpoint that fits.
template <class T>
void load(comm::Communicator& group, TrainingRun<T>& run, std::string const& directory);

/// A run of 4 steps of 8 microbatches with dropout, in float32.
[[nodiscard]] RunConfig cut_run(TokenFile const& tokens);

}  // namespace tessera::train::test
