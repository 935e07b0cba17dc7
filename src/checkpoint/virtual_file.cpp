// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/checkpoint/virtual_file.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "checkpoint/hdf5_output.hpp"
#include "tessera/base/compute_types.hpp"

namespace tessera::checkpoint {

namespace {

template <class T>
std::array<std::byte, 8> bytes_of_value(T value) {
  std::array<std::byte, 8> bytes{};
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

/// What a missing source reads as.
std::array<std::byte, 8> fill_value(DType type) {
  switch (type) {
    case DType::u8: return bytes_of_value(std::numeric_limits<std::uint8_t>::max());
    case DType::i32: return bytes_of_value(std::numeric_limits<std::int32_t>::max());
    case DType::i64: return bytes_of_value(std::numeric_limits<std::int64_t>::max());
    case DType::u64: return bytes_of_value(std::numeric_limits<std::uint64_t>::max());
    case DType::f32: return bytes_of_value(std::numeric_limits<float>::quiet_NaN());
    case DType::f64: return bytes_of_value(std::numeric_limits<double>::quiet_NaN());
    case DType::bf16: return bytes_of_value(bf16(std::numeric_limits<float>::quiet_NaN()));
    case DType::f16: return bytes_of_value(f16(std::numeric_limits<float>::quiet_NaN()));
  }
  return {};
}

std::array<hsize_t, max_ndim> to_hsize(std::vector<std::int64_t> const& numbers) {
  std::array<hsize_t, max_ndim> result{};
  for (std::size_t dim = 0; dim < numbers.size(); ++dim) result[dim] = static_cast<hsize_t>(numbers[dim]);
  return result;
}

void map_shard(hid_t creation, hid_t whole_space, Shard const& shard, Manifest const& manifest,
               std::string const& path) {
  auto const offset = to_hsize(shard.box.offset);
  auto const extent = to_hsize(shard.box.extent);
  hdf5::wrote(
      H5Sselect_hyperslab(whole_space, H5S_SELECT_SET, offset.data(), nullptr, extent.data(), nullptr),
      "describe", path);
  hdf5::Id const source = hdf5::make_space(shard.box.extent, path);
  auto const& file = manifest.files.at(static_cast<std::size_t>(shard.file)).name;
  hdf5::wrote(
      H5Pset_virtual(creation, whole_space, file.c_str(), ("/" + shard.dataset).c_str(), source.get()),
      "describe", path);
}

void write_tensor(hid_t file, ShardedTensor const& sharded, Manifest const& manifest,
                  std::string const& path) {
  auto const& [tensor, shards] = sharded;
  hdf5::Id const creation = hdf5::make_properties(H5P_DATASET_CREATE, path);
  hid_t const type = hdf5::type_in_file(tensor.dtype);
  auto const fill = fill_value(tensor.dtype);
  hdf5::wrote(H5Pset_fill_value(creation.get(), type, fill.data()), "set up", path);
  hdf5::Id const space = hdf5::make_space(tensor.shape, path);
  for (auto const& shard : shards) map_shard(creation.get(), space.get(), shard, manifest, path);
  hdf5::make_groups(file, tensor.name, path);
  hdf5::wrote(H5Sselect_all(space.get()), "describe", path);
  hdf5::Id const dataset(hdf5::wrote(
      H5Dcreate2(file, tensor.name.c_str(), type, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
      fmt::format("create dataset '{}' in", tensor.name), path));
  hdf5::write_attribute(dataset.get(), "dtype", to_string(tensor.dtype), path);
}

}  // namespace

FileEntry write_virtual_file(std::string const& directory, Manifest const& manifest, std::string writer) {
  hdf5::Output output(path_in(directory, whole_name));
  hdf5::write_attribute(output.id(), "format", "tessera checkpoint, whole tensors", output.path());
  hdf5::write_attribute(output.id(), "version", std::array{format_version}, output.path());
  hdf5::write_attribute(output.id(), "step", std::array{manifest.step}, output.path());
  for (auto const& sharded : manifest.tensors) write_tensor(output.id(), sharded, manifest, output.path());
  return output.finish(std::move(writer));
}

}  // namespace tessera::checkpoint
