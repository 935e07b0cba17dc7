// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Reading any part of a checkpoint's tensors into any memory: a slice is a box in global coordinates, and its
// elements come from whatever boxes of whatever files hold them. Not collective.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tessera/checkpoint/box.hpp"
#include "tessera/checkpoint/manifest.hpp"

namespace tessera::checkpoint {

/// A part of a tensor to be read: `memory.box`, into `memory`. What the reader believes of the tensor must be
/// what the checkpoint says. A tensor may have several slices.
struct Slice {
  std::string tensor;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;  ///< of the whole tensor
  BoxMemory memory;
};

/// A checkpoint that is read from. Whoever makes one has verified the directory (verify.hpp, loader.hpp);
/// a file that changed since in what lies around its elements is refused all the same.
///
/// All calls of HDF5 in a process come from one thread at a time: no read while a Saver writes.
class Reader {
 public:
  Reader(std::string directory, Manifest manifest);
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;
  ~Reader();

  [[nodiscard]] Manifest const& manifest() const noexcept;
  [[nodiscard]] std::string const& directory() const noexcept;

  /// How the checkpoint's tensors differ from `wanted` in names, shapes and dtypes: at most ten lines, and
  /// one that counts the others. Empty: they fit.
  [[nodiscard]] std::vector<std::string> differences(std::span<TensorEntry const> wanted) const;

  /// Fills every slice. Files are opened one after the other, each once, and read in ascending order; of a
  /// dataset only what is asked for is fetched, through one buffer of 4 MiB. Throws DataError when a tensor
  /// is missing or is another than the slice says, or a file is not what the manifest says; IoError when
  /// reading fails. The memories are half filled then.
  void read(std::span<Slice const> slices) const;

 private:
  struct Body;
  std::unique_ptr<Body> body_;
};

}  // namespace tessera::checkpoint
