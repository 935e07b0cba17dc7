// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <filesystem>
#include <map>
#include <utility>
#include <vector>

#include "checkpoint/hdf5_output.hpp"
#include "checkpoint/sources.hpp"
#include "tessera/base/error.hpp"
#include "tessera/checkpoint/shard_file.hpp"

namespace tessera::checkpoint {

static_assert(std::endian::native == std::endian::little, "files are written as numbers lie in memory");

namespace {

constexpr std::size_t gather_bytes = std::size_t{4} << 20;
constexpr std::size_t block_bytes = std::size_t{256} << 10;  // hashed, then written while still in the cache

/// Where `box` lies densely in row-major order inside `memory`; null if it does not.
std::byte const* dense_place(ConstBoxMemory const& memory, Box const& box, std::size_t element_bytes) {
  if (intersection(memory.box, box) != box) return nullptr;
  auto const strides = row_major_strides(box.extent);
  std::int64_t first = 0;
  for (std::size_t dim = 0; dim < strides.size(); ++dim) {
    if (box.extent[dim] != 1 && memory.strides[dim] != strides[dim]) return nullptr;
    first += (box.offset[dim] - memory.box.offset[dim]) * memory.strides[dim];
  }
  return memory.data + first * static_cast<std::int64_t>(element_bytes);
}

}  // namespace

class ShardFileWriter::Body {
 public:
  Body(std::string path, std::int64_t step, std::string writer)
      : output_(std::move(path)), writer_(std::move(writer)) {
    auto const& name = output_.path();
    hdf5::write_attribute(output_.id(), "format", "tessera checkpoint", name);
    hdf5::write_attribute(output_.id(), "version", std::array{format_version}, name);
    hdf5::write_attribute(output_.id(), "step", std::array{step}, name);
    hdf5::write_attribute(output_.id(), "file", std::filesystem::path(name).filename().string(), name);
    hdf5::write_attribute(output_.id(), "writer", writer_, name);
  }

  Shard write(TensorEntry const& tensor, Box const& box, std::span<ConstBoxMemory const> sources,
              std::optional<TileRange> tiles) {
    require(!problem_of_tensor(tensor), "a tensor is in order");
    require(!problem_of_box(tensor.shape, box), "a box lies in its tensor");
    require(!problem_of_sources(box, sources), "sources cover a box exactly once");
    Shard shard{box, 0, dataset_name(tensor.name, boxes_[tensor.name]++), 0, {}};
    hdf5::Id const dataset = create_dataset(tensor, shard);
    shard.position = place_of_elements(dataset.get());
    shard.hash = write_elements(shard.position, tensor.dtype, box, sources);
    write_attributes(dataset.get(), tensor, shard, tiles);
    elements_.push_back({shard.position, Dataset{&tensor, &shard}.bytes(), shard.hash, shard.dataset});
    return shard;
  }

  FileEntry finish() { return output_.finish(std::move(writer_), std::move(elements_)); }

 private:
  /// Makes the dataset with its place in the file, and no elements.
  [[nodiscard]] hdf5::Id create_dataset(TensorEntry const& tensor, Shard const& shard) const {
    auto const& path = output_.path();
    hdf5::Id const creation = hdf5::make_properties(H5P_DATASET_CREATE, path);
    hdf5::wrote(H5Pset_layout(creation.get(), H5D_CONTIGUOUS), "set up", path);
    hdf5::wrote(H5Pset_alloc_time(creation.get(), H5D_ALLOC_TIME_EARLY), "set up", path);
    hdf5::wrote(H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER), "set up", path);
    hdf5::make_groups(output_.id(), shard.dataset, path);
    hdf5::Id const space = hdf5::make_space(shard.box.extent, path);
    return hdf5::Id(
        hdf5::wrote(H5Dcreate2(output_.id(), shard.dataset.c_str(), hdf5::type_in_file(tensor.dtype),
                               space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
                    fmt::format("create dataset '{}' in", shard.dataset), path));
  }

  [[nodiscard]] std::int64_t place_of_elements(hid_t dataset) const {
    haddr_t const address = H5Dget_offset(dataset);
    if (address == HADDR_UNDEF) hdf5::throw_write_error("find the place of a dataset in", output_.path());
    return static_cast<std::int64_t>(address);
  }

  Hash128 write_elements(std::int64_t offset, DType dtype, Box const& box,
                         std::span<ConstBoxMemory const> sources) {
    auto const element_bytes = size_bytes(dtype);
    Hasher hasher;
    std::byte const* const dense =
        sources.size() == 1 ? dense_place(sources[0], box, element_bytes) : nullptr;
    if (dense != nullptr) {
      auto const bytes = static_cast<std::size_t>(element_count(box)) * element_bytes;
      write_bytes({dense, bytes}, offset, hasher);
      return hasher.digest();
    }
    gathered_.resize(gather_bytes);
    auto const room = static_cast<std::int64_t>(gather_bytes / element_bytes);
    for_each_piece(box, box, room, 0, [&](Piece const& piece) {
      BoxMemory const to = row_major(gathered_.data(), piece.box);
      for (auto const& source : sources) {
        if (auto const part = intersection(source.box, piece.box)) copy_box(to, source, *part, element_bytes);
      }
      auto const bytes = static_cast<std::size_t>(piece.span) * element_bytes;
      write_bytes(std::span(gathered_).first(bytes),
                  offset + piece.position * static_cast<std::int64_t>(element_bytes), hasher);
    });
    return hasher.digest();
  }

  void write_bytes(std::span<std::byte const> bytes, std::int64_t offset, Hasher& hasher) {
    while (!bytes.empty()) {
      auto const block = bytes.first(std::min(bytes.size(), block_bytes));
      hasher.update(block);
      output_.write(offset, block);
      offset += std::ssize(block);
      bytes = bytes.subspan(block.size());
    }
  }

  void write_attributes(hid_t dataset, TensorEntry const& tensor, Shard const& shard,
                        std::optional<TileRange> tiles) const {
    auto const& path = output_.path();
    hdf5::write_attribute(dataset, "tensor", tensor.name, path);
    hdf5::write_attribute(dataset, "dtype", to_string(tensor.dtype), path);
    hdf5::write_attribute(dataset, "global_shape", tensor.shape, path);
    hdf5::write_attribute(dataset, "offset", shard.box.offset, path);
    hdf5::write_attribute(dataset, "xxh3_128", to_hex(shard.hash), path);
    if (tiles) hdf5::write_attribute(dataset, "tiles", std::array{tiles->first, tiles->count}, path);
  }

  hdf5::Output output_;
  std::string writer_;
  std::map<std::string, std::size_t> boxes_;  // written of each tensor
  std::vector<Elements> elements_;            // written so far
  std::vector<std::byte> gathered_;
};

ShardFileWriter::ShardFileWriter(std::string path, std::int64_t step, std::string writer)
    : body_(std::make_unique<Body>(std::move(path), step, std::move(writer))) {}
ShardFileWriter::ShardFileWriter(ShardFileWriter&&) noexcept = default;
ShardFileWriter& ShardFileWriter::operator=(ShardFileWriter&&) noexcept = default;
ShardFileWriter::~ShardFileWriter() = default;

Shard ShardFileWriter::write(TensorEntry const& tensor, Box const& box,
                             std::span<ConstBoxMemory const> sources, std::optional<TileRange> tiles) {
  return body_->write(tensor, box, sources, tiles);
}

Shard ShardFileWriter::write(TensorEntry const& tensor, Box const& box, std::span<std::byte const> elements,
                             std::optional<TileRange> tiles) {
  require(elements.size() == static_cast<std::size_t>(element_count(box)) * size_bytes(tensor.dtype),
          "elements of a box have its size");
  std::array const source{row_major(elements.data(), box)};
  return body_->write(tensor, box, source, tiles);
}

FileEntry ShardFileWriter::finish() { return body_->finish(); }

}  // namespace tessera::checkpoint
