// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The file that the corpus of the reader begins with: all of HDF5's own bytes lie at its head, the elements,
// all 1, at its end, and a hole between them. The corpus holds heads.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "tessera/checkpoint/shard_file.hpp"

namespace tessera::checkpoint::test {

inline constexpr std::size_t seed_head_bytes = 4096;

inline std::array<TensorEntry, 3> seed_tensors() {
  return {{{"w", DType::f32, {4, 6}}, {"group/v", DType::i64, {5}}, {"u", DType::u8, {3}}}};
}

inline std::vector<std::byte> ones(TensorEntry const& tensor) {
  auto const count = static_cast<std::size_t>(element_count(whole(tensor.shape)));
  return std::vector<std::byte>(count * size_bytes(tensor.dtype), std::byte{1});
}

/// Writes the file; returns a manifest that knows it.
inline Manifest write_seed(std::string const& path) {
  Manifest manifest;
  ShardFileWriter writer(path, 1, "seed");
  for (auto const& tensor : seed_tensors()) {
    manifest.tensors.push_back({tensor, {writer.write(tensor, whole(tensor.shape), ones(tensor))}});
  }
  manifest.files.push_back(writer.finish());
  return manifest;
}

}  // namespace tessera::checkpoint::test
