// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "sample.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <numeric>
#include <optional>

#include "tessera/base/compute_types.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/shard_file.hpp"
#include "tessera/checkpoint/virtual_file.hpp"

namespace tessera::checkpoint::test {

namespace {

FullTensor counted(std::string name, DType dtype, std::vector<std::int64_t> shape, std::int64_t first) {
  FullTensor tensor{{std::move(name), dtype, std::move(shape)}, {}};
  auto const count = *checked_count(tensor.entry.shape);
  auto const fill = [&](auto zero) {
    std::vector<decltype(zero)> numbers(static_cast<std::size_t>(count));
    for (std::size_t k = 0; k < numbers.size(); ++k) {
      using Number = decltype(zero);
      numbers[k] = static_cast<Number>(static_cast<Number>(first + static_cast<std::int64_t>(k)) / 4);
    }
    tensor.elements.resize(numbers.size() * sizeof zero);
    std::memcpy(tensor.elements.data(), numbers.data(), tensor.elements.size());
  };
  switch (dtype) {
    case DType::u8: fill(std::uint8_t{}); break;
    case DType::i32: fill(std::int32_t{}); break;
    case DType::i64: fill(std::int64_t{}); break;
    case DType::u64: fill(std::uint64_t{}); break;
    case DType::f32: fill(float{}); break;
    case DType::f64: fill(double{}); break;
    case DType::bf16: fill(bf16{}); break;
    case DType::f16: fill(f16{}); break;
  }
  return tensor;
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "tessera-checkpoint-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder " + name);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() { std::filesystem::remove_all(path_); }

std::string TemporaryFolder::path(std::string const& name) const {
  return name.empty() ? path_.string() : (path_ / name).string();
}

std::string read_bytes(std::string const& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::int64_t bytes_read_by_this_process() {
  std::ifstream file("/proc/self/io");
  std::string name;
  std::int64_t bytes = 0;
  file >> name >> bytes;  // rchar
  return bytes;
}

void write_bytes(std::string const& path, std::string const& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

std::vector<FullTensor> sample_tensors() {
  return {counted("embedding.weight", DType::f32, {37, 24}, -100),
          counted("layers.0.attention.qkv", DType::f32, {3, 4, 6, 8}, 7),
          counted("optimizer/mean/layers.0.attention.qkv", DType::f32, {3, 4, 6, 8}, 100000),
          counted("optimizer/mean/embedding.weight", DType::f64, {37, 24}, 5),
          counted("counts", DType::i64, {1000}, 1LL << 60),
          counted("ids", DType::i32, {5, 7, 3}, -50),
          counted("seeds", DType::u64, {13}, 1LL << 62),
          counted("bytes", DType::u8, {300}, 0),
          counted("halves", DType::bf16, {9, 31}, -200),
          counted("ieee_halves", DType::f16, {7, 31}, -2000)};
}

std::vector<Box> random_cut(std::vector<std::int64_t> const& shape, std::size_t count,
                            std::mt19937_64& random) {
  std::vector<Box> boxes{whole(shape)};
  for (std::size_t tries = 0; boxes.size() < count && tries < 8 * count; ++tries) {
    auto const chosen = random() % boxes.size();
    auto const dim = random() % shape.size();
    auto const extent = boxes[chosen].extent[dim];
    if (extent < 2) continue;
    auto const at = 1 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(extent - 1));
    Box rest = boxes[chosen];
    rest.offset[dim] += at;
    rest.extent[dim] -= at;
    boxes[chosen].extent[dim] = at;
    boxes.push_back(std::move(rest));
  }
  std::ranges::shuffle(boxes, random);
  return boxes;
}

std::vector<std::byte> elements_of(FullTensor const& tensor, Box const& box) {
  auto const element_bytes = size_bytes(tensor.entry.dtype);
  std::vector<std::byte> elements(static_cast<std::size_t>(element_count(box)) * element_bytes);
  copy_box(row_major(elements.data(), box), row_major(tensor.elements.data(), whole(tensor.entry.shape)), box,
           element_bytes);
  return elements;
}

Manifest write_sample(std::string const& directory, std::vector<FullTensor> const& tensors, int files,
                      std::size_t boxes, std::uint64_t seed, std::int64_t step) {
  create_directory(directory);
  std::mt19937_64 random(seed);
  std::vector<ShardFileWriter> writers;
  for (int file = 0; file < files; ++file) {
    writers.emplace_back(path_in(directory, fmt::format("rank_{:05}.h5", file)), step,
                         fmt::format("rank {}", file));
  }
  Manifest manifest;
  manifest.created_by = "a test";
  manifest.step = step;
  manifest.layout = {files, files, 1, 1, 8};
  manifest.config = {{"layers", "1"}, {"name", "a \"quoted\" \xc3\xa9"}};
  manifest.state = {{"seed", "18446744073709551615"}};
  for (auto const& tensor : tensors) {
    auto& sharded = manifest.tensors.emplace_back(ShardedTensor{tensor.entry, {}});
    for (auto const& box : random_cut(tensor.entry.shape, boxes, random)) {
      auto const file = random() % writers.size();
      auto const elements = elements_of(tensor, box);
      sharded.shards.push_back(writers[file].write(tensor.entry, box, elements, TileRange{0, 2}));
      sharded.shards.back().file = static_cast<std::int64_t>(file);
    }
  }
  for (auto& writer : writers) manifest.files.push_back(writer.finish());
  manifest.files.push_back(write_virtual_file(directory, manifest, "rank 0"));
  write_text_atomically(path_in(directory, manifest_name), to_text(manifest));
  return manifest;
}

}  // namespace tessera::checkpoint::test
