// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>

#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/manifest.hpp"

namespace tessera::checkpoint {

/// Hash of `bytes` bytes of a file from `offset` on, read once through a small buffer. Throws as read_at.
Hash128 hash_range(Descriptor const& file, std::int64_t offset, std::int64_t bytes, std::string const& path);

/// Whether an open file has the size and hash of `entry`; else what was expected and found.
std::optional<std::string> problem_of_content(Descriptor const& file, FileEntry const& entry,
                                              std::string const& path);

}  // namespace tessera::checkpoint
