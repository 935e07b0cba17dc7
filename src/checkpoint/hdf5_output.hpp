// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

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
  [[nodiscard]] Descriptor const& descriptor() const noexcept { return descriptor_; }
  [[nodiscard]] std::string const& path() const noexcept { return path_; }

  /// Closes the HDF5 file, hashes it around the `elements` of its datasets, and waits for the disk.
  FileEntry finish(std::string writer, std::vector<Elements> elements = {});

 private:
  std::string path_;
  Descriptor descriptor_;
  Id file_;
  bool finished_ = false;
};

}  // namespace tessera::checkpoint::hdf5
