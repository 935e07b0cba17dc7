// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The last steps of a checkpoint's way to its name, once all shard files are on the disk. One process does
// them; nothing here is collective. Failures are IoErrors, until the step has its name; what was whole before
// stays whole, whatever fails and at whatever moment the process is killed. Fault points: fault_point.hpp.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "tessera/checkpoint/manifest.hpp"

namespace tessera::checkpoint {

/// Makes a directory and, where they are missing, those above it, each on the disk when this returns. One
/// that exists is no error; a file there is (cannot_create).
void make_directories(std::string const& path);

/// Writes model.h5 and manifest.json into `directory`, which holds the shard files that `manifest` names, and
/// returns when all is on the disk. Throws InternalError when the manifest would not be read back.
/// Returns the bytes of all files.
std::int64_t complete(std::string const& directory, Manifest manifest, std::string const& writer);

/// Gives a complete directory its name in the same parent, at once, and returns when that is on the disk.
void put_in_place(std::string const& temporary, std::string const& place);

/// What a job knows of the steps in its directory without reading their bytes again.
struct KnownSteps {
  std::set<std::int64_t> whole;    ///< it wrote and hashed them, or verified them when it loaded
  std::set<std::int64_t> damaged;  ///< it passed over them when it loaded
};

/// A step that all ranks have written into `temporary`.
struct Commit {
  std::string directory;  ///< of all steps
  std::string temporary;  ///< name in it, see temporary_name
  std::string token;      ///< of the job
  int keep = 2;           ///< see SaverOptions
  KnownSteps known;       ///< without this step
  Manifest manifest;      ///< without model.h5
};

struct Committed {
  std::int64_t bytes = 0;
  bool existed = false;  ///< the step was there already, whole: `temporary` has been removed instead
  /// What failed when the step had its name, a sentence for people: `latest` leads to an older step, or
  /// something old could not be removed. The next commit tries again. Empty: nothing.
  std::string troubles;
};

/// "step_00000100.tmp-TOKEN".
[[nodiscard]] std::string temporary_name(std::int64_t step, std::string const& token);

/// Removes temporary directories and files that a killed job, or a failure to remove them, left in
/// `directory`. The lock must be held. Returns why some of them stay (files that another host holds open, for
/// instance); throws IoError when the directory cannot be read.
std::vector<std::string> remove_leftovers(std::string const& directory);

/// Completes the step, gives it its name, points `latest` to it and removes what is older than the newest
/// `keep` steps that are known to be whole, this one among them: while there are fewer, nothing is removed.
/// A directory that has the name already stays if it verifies, else it is moved aside to
/// `step_00000100.damaged-N`. Neither counted nor removed are steps newer than this one (of a run that was
/// taken back), those known to be damaged, and those that lack their manifest or a file of the right size.
/// Throws where the step does not get its name; what fails afterwards is in the result.
Committed commit(Commit const& what);

}  // namespace tessera::checkpoint
