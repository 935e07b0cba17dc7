// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Is a checkpoint what was written? Everything in its manifest is compared with what is on the disk.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tessera/base/error.hpp"
#include "tessera/checkpoint/manifest.hpp"

namespace tessera::checkpoint {

/// Something wrong with a file: its bare name, and what was expected and found.
struct Problem {
  std::string file;
  std::string what;
  ExitCode code = ExitCode::data;  ///< permission or io: what the file holds is not known
};

/// Whether the file could not be looked at, for want of permission or because reading failed.
[[nodiscard]] bool is_unreadable(ExitCode code) noexcept;

/// "FILE: WHAT".
[[nodiscard]] std::string to_string(Problem const& problem);

/// The manifest of a checkpoint. Throws DataError (data; no_input where there is none) or IoError. A
/// directory that is named after a step, `step_00000100`, must hold that step.
[[nodiscard]] Manifest read_manifest(std::string const& directory);

/// Size and hashes of one file; no part of it is interpreted. One pass through a small buffer. Ranks that
/// share a directory may share the files among them.
[[nodiscard]] std::optional<Problem> verify_file(std::string const& directory, FileContent const& content);

/// Every problem of a checkpoint; empty when it is whole: the manifest, each file's size and hash, and that
/// each dataset has the type, shape, attributes and plain storage that the manifest says. Never throws
/// because of what is in the directory.
[[nodiscard]] std::vector<Problem> verify_checkpoint(std::string const& directory);

}  // namespace tessera::checkpoint
