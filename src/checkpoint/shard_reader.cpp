// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>
#include <vector>

#include "checkpoint/content.hpp"
#include "checkpoint/hdf5.hpp"
#include "checkpoint/hdf5_names.hpp"
#include "tessera/base/error.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/shard_file.hpp"

namespace tessera::checkpoint {

namespace {

constexpr std::size_t buffer_bytes = std::size_t{4} << 20;
// Longer gaps are skipped, shorter ones read over. To read a KiB too much takes less time than another call;
// of rows of 4 KiB or more it is a quarter at most.
constexpr std::size_t gap_bytes = std::size_t{1} << 10;

}  // namespace

class ShardFileReader::Body {
 public:
  Body(std::string const& directory, FileContent const& content, Verify verify)
      : path_(path_in(directory, content.file->name)), descriptor_(open_to_read(path_)) {
    auto const problem = problem_of_content(descriptor_, *content.file, elements_of(content), verify, path_);
    if (problem) throw DataError(fmt::format("{}: {}", in_quotes(path_), *problem));
    open_hdf5();
  }

  void expect_only(FileContent const& content) const {
    std::set<std::string> names;
    for (auto const& dataset : content.datasets) names.insert(dataset.shard->dataset);
    hdf5::expect_only_attributes(file_.get(), {"format", "version", "step", "file", "writer"},
                                 in_quotes(path_));
    hdf5::expect_only_datasets(file_.get(), names, path_);
  }

  /// Looks at a dataset, once.
  void check(TensorEntry const& tensor, Shard const& shard) {
    if (checked_.contains(shard.dataset)) return;
    expect_hard_links(shard.dataset);
    hdf5::Id const dataset(hdf5::read(H5Dopen2(file_.get(), shard.dataset.c_str(), H5P_DEFAULT),
                                      fmt::format("open dataset '{}' of", shard.dataset), path_));
    expect_plain_storage(dataset.get(), shard.dataset);
    expect_elements(dataset.get(), tensor, shard);
    expect_attributes(dataset.get(), tensor, shard);
    if (H5Dget_offset(dataset.get()) != static_cast<haddr_t>(shard.position)) {
      refuse(shard.dataset, "its elements do not lie where the manifest says");
    }
    checked_.insert(shard.dataset);
  }

  void verify_elements(TensorEntry const& tensor, Shard const& shard) {
    check(tensor, shard);
    auto const bytes = Dataset{&tensor, &shard}.bytes();
    Hash128 const found = FileHasher(descriptor_, path_).range(shard.position, bytes);
    if (found != shard.hash) {
      refuse(shard.dataset, fmt::format("expected XXH3-128 {}, found {}", to_hex(shard.hash), to_hex(found)));
    }
  }

  void read(TensorEntry const& tensor, Shard const& shard, Box const& what, BoxMemory const& to) {
    require(intersection(shard.box, what) == what, "what is read lies in the shard");
    require(intersection(to.box, what) == what, "what is read lies in the memory it goes to");
    check(tensor, shard);
    auto const element_bytes = size_bytes(tensor.dtype);
    auto const strides = row_major_strides(shard.box.extent);
    buffer_.resize(buffer_bytes);
    auto const elements = [&](std::size_t bytes) { return static_cast<std::int64_t>(bytes / element_bytes); };
    for_each_piece(shard.box, what, elements(buffer_bytes), elements(gap_bytes), [&](Piece const& piece) {
      auto const bytes = static_cast<std::size_t>(piece.span) * element_bytes;
      read_at(descriptor_, shard.position + piece.position * static_cast<std::int64_t>(element_bytes),
              std::span(buffer_).first(bytes), path_);
      copy_box(to, {buffer_.data(), piece.box, strides}, piece.box, element_bytes);
    });
  }

 private:
  [[noreturn]] void refuse(std::string const& dataset, std::string const& what) const {
    throw DataError(fmt::format("{}: dataset {}: {}", in_quotes(path_), in_quotes(dataset), what));
  }

  /// Opens the very file that was hashed, whatever its name leads to by now.
  void open_hdf5() {
    hdf5::enter();
    hdf5::Id const access(hdf5::read(H5Pcreate(H5P_FILE_ACCESS), "set up", path_));
    hdf5::read(H5Pset_file_locking(access.get(), false, true), "set up", path_);
    auto const name = fmt::format("/proc/self/fd/{}", descriptor_.get());
    file_ = hdf5::Id(hdf5::read(H5Fopen(name.c_str(), H5F_ACC_RDONLY, access.get()), "open", path_));
  }

  /// Every step of the way to a dataset is a plain link inside the file.
  void expect_hard_links(std::string const& dataset) const {
    for (std::size_t end = 0; end != dataset.npos;) {
      end = dataset.find('/', end + 1);
      auto const part = dataset.substr(0, end);
      H5L_info_t info{};
      hdf5::read(H5Lget_info(file_.get(), part.c_str(), &info, H5P_DEFAULT),
                 fmt::format("find '{}' in", part), path_);
      if (info.type != H5L_TYPE_HARD) refuse(dataset, fmt::format("'{}' is a link to elsewhere", part));
    }
  }

  void expect_plain_storage(hid_t dataset, std::string const& name) const {
    hdf5::Id const creation(hdf5::read(H5Dget_create_plist(dataset), "look at", path_));
    if (H5Pget_layout(creation.get()) != H5D_CONTIGUOUS) refuse(name, "not stored contiguously");
    if (H5Pget_nfilters(creation.get()) != 0) refuse(name, "stored through a filter");
    if (H5Pget_external_count(creation.get()) != 0) refuse(name, "stored in another file");
  }

  void expect_elements(hid_t dataset, TensorEntry const& tensor, Shard const& shard) const {
    hdf5::Id const type(hdf5::read(H5Dget_type(dataset), "look at", path_));
    if (hdf5::read(H5Tequal(type.get(), hdf5::type_in_file(tensor.dtype)), "look at", path_) <= 0) {
      refuse(shard.dataset, fmt::format("elements are not {} as the manifest says", to_string(tensor.dtype)));
    }
    hdf5::Id const space(hdf5::read(H5Dget_space(dataset), "look at", path_));
    std::array<hsize_t, H5S_MAX_RANK> extent{};
    int const ndim = hdf5::read(H5Sget_simple_extent_ndims(space.get()), "look at", path_);
    hdf5::read(H5Sget_simple_extent_dims(space.get(), extent.data(), nullptr), "look at", path_);
    auto const found = std::span(extent).first(static_cast<std::size_t>(ndim));
    bool const same = std::ranges::equal(found, shard.box.extent, {}, {},
                                         [](auto number) { return static_cast<hsize_t>(number); });
    if (!same) refuse(shard.dataset, fmt::format("its shape does not fit {}", to_string(shard.box)));
  }

  void expect_attributes(hid_t dataset, TensorEntry const& tensor, Shard const& shard) const {
    auto const where = fmt::format("{}: dataset {}", in_quotes(path_), in_quotes(shard.dataset));
    hdf5::expect_attribute(dataset, "tensor", tensor.name, where);
    hdf5::expect_attribute(dataset, "dtype", to_string(tensor.dtype), where);
    hdf5::expect_attribute(dataset, "global_shape", tensor.shape, where);
    hdf5::expect_attribute(dataset, "offset", shard.box.offset, where);
    hdf5::expect_attribute(dataset, "xxh3_128", to_hex(shard.hash), where);
    hdf5::expect_only_attributes(dataset, {"tensor", "dtype", "global_shape", "offset", "xxh3_128", "tiles"},
                                 where);
  }

  std::string path_;
  Descriptor descriptor_;
  hdf5::Id file_;
  std::set<std::string> checked_;
  std::vector<std::byte> buffer_;
};

ShardFileReader::ShardFileReader(std::string const& directory, FileContent const& content, Verify verify)
    : body_(std::make_unique<Body>(directory, content, verify)) {}
ShardFileReader::ShardFileReader(ShardFileReader&&) noexcept = default;
ShardFileReader& ShardFileReader::operator=(ShardFileReader&&) noexcept = default;
ShardFileReader::~ShardFileReader() = default;

void ShardFileReader::expect_only(FileContent const& content) const { body_->expect_only(content); }

void ShardFileReader::check(TensorEntry const& tensor, Shard const& shard) { body_->check(tensor, shard); }

void ShardFileReader::verify_elements(TensorEntry const& tensor, Shard const& shard) {
  body_->verify_elements(tensor, shard);
}

void ShardFileReader::read(TensorEntry const& tensor, Shard const& shard, Box const& what,
                           BoxMemory const& to) {
  body_->read(tensor, shard, what, to);
}

}  // namespace tessera::checkpoint
