// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/content.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tessera::checkpoint {

namespace {

std::array<std::byte, 16> canonical(Hash128 hash) {
  std::array<std::byte, 16> bytes{};
  for (std::size_t k = 0; k < 8; ++k) {
    bytes[k] = static_cast<std::byte>(hash.high >> (56 - 8 * k));
    bytes[8 + k] = static_cast<std::byte>(hash.low >> (56 - 8 * k));
  }
  return bytes;
}

std::optional<std::string> difference(std::string_view of, Hash128 expected, Hash128 found) {
  if (expected == found) return std::nullopt;
  return fmt::format("{}: expected XXH3-128 {}, found {}", of, to_hex(expected), to_hex(found));
}

}  // namespace

FileHasher::FileHasher(Descriptor const& file, std::string const& path)
    // Small enough to stay in a core's own cache between being read and being hashed.
    : file_(file), path_(path), buffer_(std::size_t{256} << 10) {}

void FileHasher::feed(Hasher& hasher, std::int64_t offset, std::int64_t bytes) {
  for (std::int64_t done = 0; done < bytes;) {
    auto const part = std::min<std::int64_t>(bytes - done, std::ssize(buffer_));
    auto const piece = std::span(buffer_).first(static_cast<std::size_t>(part));
    read_at(file_, offset + done, piece, path_);
    hasher.update(piece);
    done += part;
  }
}

Hash128 FileHasher::range(std::int64_t offset, std::int64_t bytes) {
  Hasher hasher;
  feed(hasher, offset, bytes);
  return hasher.digest();
}

Hash128 FileHasher::around(std::vector<Elements> const& elements, std::int64_t size) {
  Hasher hasher;
  std::int64_t done = 0;
  for (auto const& one : elements) {
    feed(hasher, done, one.position - done);
    hasher.update(canonical(one.hash));
    done = one.position + one.bytes;
  }
  feed(hasher, done, size - done);
  return hasher.digest();
}

std::vector<Elements> elements_of(FileContent const& content) {
  std::vector<Elements> elements;
  for (auto const& dataset : content.datasets) {
    auto const& shard = *dataset.shard;
    elements.push_back({shard.position, dataset.bytes(), shard.hash, shard.dataset});
  }
  return elements;
}

std::optional<std::string> problem_of_content(Descriptor const& file, FileEntry const& entry,
                                              std::vector<Elements> const& elements, Verify verify,
                                              std::string const& path) {
  auto const size = file_size(file, path);
  if (size != entry.bytes) return fmt::format("expected {} bytes, found {}", entry.bytes, size);
  FileHasher hasher(file, path);
  if (verify == Verify::all) {
    for (auto const& one : elements) {
      auto problem = difference(fmt::format("elements of dataset '{}'", one.dataset), one.hash,
                                hasher.range(one.position, one.bytes));
      if (problem) return problem;
    }
  }
  return difference("bytes around the datasets", entry.hash, hasher.around(elements, size));
}

}  // namespace tessera::checkpoint
