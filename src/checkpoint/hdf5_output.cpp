// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/hdf5_output.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "tessera/checkpoint/fault_point.hpp"

namespace tessera::checkpoint::hdf5 {

namespace {

constexpr std::int64_t writeback_bytes = std::int64_t{32} << 20;

/// How files are laid out: the format of HDF5 1.10, in which a file that was not closed is refused; metadata
/// in blocks; large datasets from page borders on. The library's own locks are off: our directory has one.
Id access_properties(std::string const& path) {
  Id access(wrote(H5Pcreate(H5P_FILE_ACCESS), "set up", path));
  wrote(H5Pset_libver_bounds(access.get(), H5F_LIBVER_V110, H5F_LIBVER_V110), "set up", path);
  wrote(H5Pset_file_locking(access.get(), false, true), "set up", path);
  wrote(H5Pset_meta_block_size(access.get(), hsize_t{64} << 10), "set up", path);
  wrote(H5Pset_alignment(access.get(), hsize_t{64} << 10, 4096), "set up", path);
  return access;
}

}  // namespace

Output::Output(std::string path) : path_(std::move(path)) {
  enter();
  fault_point("ckpt.create_file");
  // Made by us, so that errors are the system's; HDF5 opens what is there and begins it anew.
  descriptor_ = create_file(path_);
  try {
    Id const creation = make_properties(H5P_FILE_CREATE, path_);
    Id const access = access_properties(path_);
    file_ = Id(wrote(H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()), "create", path_));
  } catch (...) {
    ::unlink(path_.c_str());
    throw;
  }
}

Output::~Output() {
  if (finished_) return;
  // A file that HDF5 cannot close stays open in it, and with it the room on the disk; so empty it first.
  if (descriptor_ && ::ftruncate(descriptor_.get(), 0) != 0) errno = 0;
  ::unlink(path_.c_str());
  file_.reset();
}

void Output::write(std::int64_t offset, std::span<std::byte const> bytes) {
  fault_point("ckpt.write_data");
  write_at(descriptor_, offset, bytes, path_);
  waiting_bytes_ += std::ssize(bytes);
  if (waiting_bytes_ < writeback_bytes) return;
  std::int64_t const end = offset + std::ssize(bytes);
  ::sync_file_range(descriptor_.get(), end - std::min(end, waiting_bytes_), waiting_bytes_,
                    SYNC_FILE_RANGE_WRITE);
  waiting_bytes_ = 0;
}

FileEntry Output::finish(std::string writer, std::vector<Elements> elements) {
  fault_point("ckpt.write_metadata");
  wrote(H5Fclose(file_.release()), "finish", path_);
  std::ranges::sort(elements, {}, &Elements::position);
  Descriptor const content = open_to_read(path_);
  auto const size = file_size(content, path_);
  Hash128 const hash = FileHasher(content, path_).around(elements, size);
  fault_point("ckpt.sync_file");
  sync_file(descriptor_, path_);
  close_file(std::move(descriptor_), path_);
  finished_ = true;
  return {std::filesystem::path(path_).filename().string(), size, hash, std::move(writer)};
}

}  // namespace tessera::checkpoint::hdf5
