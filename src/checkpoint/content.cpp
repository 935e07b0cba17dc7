// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/content.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace tessera::checkpoint {

Hash128 hash_range(Descriptor const& file, std::int64_t offset, std::int64_t bytes, std::string const& path) {
  // Small enough to stay in a core's own cache between being read and being hashed.
  std::vector<std::byte> buffer(std::size_t{256} << 10);
  ::posix_fadvise(file.get(), offset, bytes, POSIX_FADV_SEQUENTIAL);
  Hasher hasher;
  for (std::int64_t done = 0; done < bytes;) {
    auto const part = std::min<std::int64_t>(bytes - done, std::ssize(buffer));
    auto const piece = std::span(buffer).first(static_cast<std::size_t>(part));
    read_at(file, offset + done, piece, path);
    hasher.update(piece);
    done += part;
  }
  return hasher.digest();
}

std::optional<std::string> problem_of_content(Descriptor const& file, FileEntry const& entry,
                                              std::string const& path) {
  auto const size = file_size(file, path);
  if (size != entry.bytes) return fmt::format("expected {} bytes, found {}", entry.bytes, size);
  Hash128 const hash = hash_range(file, 0, size, path);
  if (hash == entry.hash) return std::nullopt;
  return fmt::format("expected XXH3-128 {}, found {}", to_hex(entry.hash), to_hex(hash));
}

}  // namespace tessera::checkpoint
