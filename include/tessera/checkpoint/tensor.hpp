// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What a checkpoint says about a tensor, and about where its elements are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tessera/base/dtype.hpp"
#include "tessera/checkpoint/box.hpp"
#include "tessera/checkpoint/hash.hpp"

namespace tessera::checkpoint {

/// A tensor as a whole. Names are unique in a checkpoint, at most 1,024 characters: letters, digits and
/// `_ . - :`, in parts of at least one character divided by `/`; no part is `.` or `..`. No name is the
/// beginning of another up to a `/` ("a" beside "a/b"): `/` divides groups in a file.
struct TensorEntry {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;  ///< 1 to 8 extents, each at least 1
  bool operator==(TensorEntry const&) const = default;
};

/// One box of a tensor in one file.
struct Shard {
  Box box;
  std::int64_t file = 0;  ///< index into the manifest's files
  std::string dataset;    ///< name inside the file: the tensor's own, or name#1, name#2 ... for further boxes
  std::int64_t position = 0;  ///< of its first byte in the file; the elements lie row-major, little-endian
  Hash128 hash;               ///< of the elements' bytes
  bool operator==(Shard const&) const = default;
};

/// A tensor and the boxes that cover it exactly once.
struct ShardedTensor {
  TensorEntry tensor;
  std::vector<Shard> shards;
  bool operator==(ShardedTensor const&) const = default;
};

/// What is wrong with a tensor's name; nothing when it is in order.
[[nodiscard]] std::optional<std::string> problem_of_name(std::string_view name);

/// What is wrong with name or shape.
[[nodiscard]] std::optional<std::string> problem_of_tensor(TensorEntry const& tensor);

/// Name in files of the box with this number among the boxes of one tensor in one file.
[[nodiscard]] std::string dataset_name(std::string_view tensor, std::size_t number);

/// Whether `dataset` is a name that dataset_name gives for `tensor`.
[[nodiscard]] bool is_dataset_of(std::string_view dataset, std::string_view tensor);

/// The reverse of to_string(DType).
[[nodiscard]] std::optional<DType> parse_dtype(std::string_view text);

}  // namespace tessera::checkpoint
