// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/hash.hpp"
#include "tessera/checkpoint/shard_file.hpp"

namespace tessera::checkpoint {

/// The elements of one dataset as bytes of a file.
struct Elements {
  std::int64_t position = 0;
  std::int64_t bytes = 0;
  Hash128 hash;
  std::string dataset;
};

/// Reads a file from front to back, or parts of it, through a small buffer, and hashes. Throws as read_at.
class FileHasher {
 public:
  FileHasher(Descriptor const& file, std::string const& path);

  [[nodiscard]] Hash128 range(std::int64_t offset, std::int64_t bytes);

  /// The hash of a file of `size` bytes as FileEntry defines it, taking the elements' hashes as given.
  [[nodiscard]] Hash128 around(std::vector<Elements> const& elements, std::int64_t size);

 private:
  void feed(Hasher& hasher, std::int64_t offset, std::int64_t bytes);

  Descriptor const& file_;
  std::string const& path_;
  std::vector<std::byte> buffer_;
};

/// The datasets of a file in the order of their positions.
std::vector<Elements> elements_of(FileContent const& content);

/// Whether an open file has the size and hashes of its entry; else what was expected and found.
std::optional<std::string> problem_of_content(Descriptor const& file, FileEntry const& entry,
                                              std::vector<Elements> const& elements, Verify verify,
                                              std::string const& path);

}  // namespace tessera::checkpoint
