// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// One file of a checkpoint: HDF5, serial, each box a plain contiguous dataset with attributes that say what
// it is. HDF5 lays the file out and writes the description; the elements themselves go to and from the places
// it gives them by plain reads and writes, which is as fast as the disk, says exactly what failed, and keeps
// what a stranger's file can make the HDF5 library do to a minimum.
//
// All calls of HDF5 in a process come from one thread at a time (the caller's duty), and the first of them is
// made here: H5dont_atexit, without which HDF5 1.10 crashes at exit after a failed write.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "tessera/checkpoint/box.hpp"
#include "tessera/checkpoint/manifest.hpp"
#include "tessera/checkpoint/tensor.hpp"

namespace tessera::checkpoint {

/// A run of tiles; written as an attribute for people, read by nothing.
struct TileRange {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

/// Writes one file. Not collective.
///
/// Every failure is an IoError with the path and the text of the system or of HDF5. After one, drop the
/// writer; the file is removed. The process may go on and write another.
class ShardFileWriter {
 public:
  /// Creates the file, which must not exist. `step` and `writer` go into the file and its entry.
  ShardFileWriter(std::string path, std::int64_t step, std::string writer);
  ShardFileWriter(ShardFileWriter&&) noexcept;
  ShardFileWriter& operator=(ShardFileWriter&&) noexcept;
  /// Without finish the file is emptied, so that a full disk has its room back at once, and removed.
  ~ShardFileWriter();

  /// Writes one box of a tensor. `sources` are memories whose boxes cover `box` exactly once, for example its
  /// tiles; elements outside `box` are left out. A single source that is dense in row-major order is written
  /// from where it lies; else elements are gathered in a buffer of 4 MiB. The shard's file index is 0.
  Shard write(TensorEntry const& tensor, Box const& box, std::span<ConstBoxMemory const> sources,
              std::optional<TileRange> tiles = std::nullopt);
  /// The same for elements that lie densely in row-major order.
  Shard write(TensorEntry const& tensor, Box const& box, std::span<std::byte const> elements,
              std::optional<TileRange> tiles = std::nullopt);

  /// Closes the file and returns when it is on the disk (the directory is not synced: that is done once for
  /// all files). What HDF5 wrote around the elements is read back and hashed; elements were hashed on their
  /// way.
  FileEntry finish();

 private:
  class Body;
  std::unique_ptr<Body> body_;
};

/// How much of a file a reader hashes before it opens it: everything, or all that lies outside the datasets'
/// elements, which is little. Ranks that read parts of the same datasets share the rest of the work among
/// them with verify_elements.
enum class Verify { all, metadata };

/// Reads boxes of one file. Not collective.
///
/// Nothing of the file is interpreted before its size and hash agree with the manifest, which is what keeps a
/// damaged file out; against a stranger's, which has its own manifest, each dataset must be what we write: a
/// contiguous array of a plain little-endian type, reached by hard links, with no filter, external storage or
/// virtual mapping, and no plugin is ever loaded. A file that shrinks or changes later is an error.
class ShardFileReader {
 public:
  /// Throws DataError naming the file, what was expected and what was found. `content` and the manifest that
  /// it points into are not needed afterwards.
  ShardFileReader(std::string const& directory, FileContent const& content, Verify verify = Verify::all);
  ShardFileReader(ShardFileReader&&) noexcept;
  ShardFileReader& operator=(ShardFileReader&&) noexcept;
  ~ShardFileReader();

  /// Throws DataError when the file holds something that is neither a dataset of `content`, nor a group on
  /// the way to one, nor an attribute of a shard file. What is read is checked without it; this keeps out
  /// what a stranger put beside it, for other programs to follow.
  void expect_only(FileContent const& content) const;

  /// Throws DataError unless the dataset is as the manifest says: dtype, shape, attributes, plain storage.
  void check(TensorEntry const& tensor, Shard const& shard);

  /// Throws DataError unless the elements of a dataset have the hash that the manifest says.
  void verify_elements(TensorEntry const& tensor, Shard const& shard);

  /// Copies `what`, a part of the shard's box, into `to`, through a buffer of 4 MiB that the reader keeps.
  void read(TensorEntry const& tensor, Shard const& shard, Box const& what, BoxMemory const& to);

 private:
  class Body;
  std::unique_ptr<Body> body_;
};

}  // namespace tessera::checkpoint
