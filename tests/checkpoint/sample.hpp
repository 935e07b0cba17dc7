// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Small checkpoints for tests: tensors with known elements, cut at random.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "support/failure.hpp"
#include "tessera/base/error.hpp"
#include "tessera/checkpoint/manifest.hpp"
#include "tessera/checkpoint/tensor.hpp"

namespace tessera::checkpoint::test {

/// A folder that goes away with the test.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(TemporaryFolder const&) = delete;
  TemporaryFolder& operator=(TemporaryFolder const&) = delete;
  ~TemporaryFolder();
  [[nodiscard]] std::string path(std::string const& name = "") const;

 private:
  std::filesystem::path path_;
};

std::string read_bytes(std::string const& path);
/// By calls of the system, whether from a disk or not.
std::int64_t bytes_read_by_this_process();
void write_bytes(std::string const& path, std::string const& bytes);

/// A tensor and all its elements, row-major.
struct FullTensor {
  TensorEntry entry;
  std::vector<std::byte> elements;
};

/// Tensors of several types and numbers of dims, with elements that tell where they belong.
std::vector<FullTensor> sample_tensors();

/// `count` boxes or more that cover `shape` exactly once, by cutting at random.
std::vector<Box> random_cut(std::vector<std::int64_t> const& shape, std::size_t count,
                            std::mt19937_64& random);

/// The elements of `box`, row-major.
std::vector<std::byte> elements_of(FullTensor const& tensor, Box const& box);

/// Writes a checkpoint of `tensors` into `directory`, which it makes: `files` shard files, each tensor in
/// about `boxes` boxes, model.h5 and the manifest; nothing is left out but the commit. Returns the manifest.
Manifest write_sample(std::string const& directory, std::vector<FullTensor> const& tensors, int files,
                      std::size_t boxes, std::uint64_t seed, std::int64_t step = 100);

using support::expect_failure;

}  // namespace tessera::checkpoint::test
