// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// manifest.json: the one file that says what a checkpoint is. A reader goes by the manifest and global
// coordinates alone. src/checkpoint/FORMAT.md is the exact description.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tessera/checkpoint/hash.hpp"
#include "tessera/checkpoint/tensor.hpp"

namespace tessera::checkpoint {

/// The version this library writes, and the newest it reads.
inline constexpr std::int64_t format_version = 1;

/// The name of the manifest in a checkpoint's directory, and of the file in which every tensor appears whole.
inline constexpr std::string_view manifest_name = "manifest.json";
inline constexpr std::string_view whole_name = "model.h5";

/// Limits on what is believed: a manifest beyond one of them is refused.
inline constexpr std::size_t max_manifest_bytes = std::size_t{128} << 20;
inline constexpr std::size_t max_tensors = 1'000'000;
inline constexpr std::size_t max_name_bytes = 1024;

/// A file of the checkpoint beside the manifest.
struct FileEntry {
  std::string name;  ///< bare: letters, digits and `_ . -`, not beginning with a dot, at most 255
  std::int64_t bytes = 0;
  /// XXH3-128 of the file's bytes with each dataset's elements replaced by the 16 bytes of their own hash
  /// (high half first, big-endian). So every byte counts, a file is hashed while it is written, once, and a
  /// reader of some datasets verifies these and the little that lies between them. Without datasets: of all
  /// bytes.
  Hash128 hash;
  std::string writer;  ///< who wrote it, for people: "rank 3 on node17"
  bool operator==(FileEntry const&) const = default;
};

/// How the run was laid out. For people only: nothing is read by it.
struct Layout {
  std::int64_t ranks = 1;
  std::int64_t tp = 1;
  std::int64_t pp = 1;
  std::int64_t dp = 1;
  std::int64_t tiles = 0;  ///< 0: as many as ranks along tp (`--tiles auto`)
  bool operator==(Layout const&) const = default;
};

/// Texts by name, in the order of names. Values are UTF-8; numbers are texts, so that they stay exact.
using Values = std::map<std::string, std::string>;

struct Manifest {
  std::int64_t version = format_version;
  std::string created_by;  ///< "tessera 0.1.0"
  std::int64_t step = 0;
  Layout layout;
  Values config;  ///< of the model and the run, compared when a run resumes
  Values state;   ///< what else the run needs to go on: position in the data, seed, loss scale
  std::vector<FileEntry> files;
  std::vector<ShardedTensor> tensors;
  bool operator==(Manifest const&) const = default;
};

/// The text of the file, sealed. The same manifest always gives the same bytes. Throws InternalError when the
/// manifest would not be read back (a name, a shape, boxes that do not cover a tensor).
[[nodiscard]] std::string to_text(Manifest const& manifest);

/// Reads the text of a manifest. `name` is the file's, for messages. Throws DataError naming the place in the
/// manifest (`tensors[3].shards[0].offset`) for anything that to_text does not write: a broken seal, unknown
/// or missing keys, a key twice, another version, numbers out of range or not whole, names that are not
/// plain, boxes that do not cover a tensor exactly once. What it allocates is bounded by the length of
/// `text`, whatever numbers stand there.
[[nodiscard]] Manifest parse_manifest(std::string_view text, std::string const& name);

/// Appends the seal to a manifest's text up to its last comma: the last entry, `"xxh3_128"`, is the hash of
/// all bytes before its own digits.
[[nodiscard]] std::string seal(std::string text);

/// Whether the seal is whole. With it every changed bit of a manifest is noticed before it is interpreted.
[[nodiscard]] bool seal_is_whole(std::string_view text) noexcept;

/// A dataset of a file: whose elements, and where. Points into a manifest, which must stay as it is.
struct Dataset {
  TensorEntry const* tensor = nullptr;
  Shard const* shard = nullptr;
  [[nodiscard]] std::int64_t bytes() const noexcept;
};

/// A file and its datasets in the order of their positions. Points into a manifest.
struct FileContent {
  FileEntry const* file = nullptr;
  std::vector<Dataset> datasets;
};

/// The manifest seen by files, in their order.
[[nodiscard]] std::vector<FileContent> contents_of(Manifest const& manifest);

/// What is wrong with the name of a file, which must not lead anywhere; nothing when it is in order.
[[nodiscard]] std::optional<std::string> problem_of_file_name(std::string_view name);

}  // namespace tessera::checkpoint
