// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "commands.hpp"
#include "opened.hpp"
#include "tessera/base/error.hpp"
#include "tessera/base/version.hpp"
#include "tessera/checkpoint/commit.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/shard_file.hpp"

namespace gpt_ckpt {

namespace {

using checkpoint::in_quotes;
using checkpoint::Reader;

constexpr std::int64_t most_block_bytes = std::int64_t{64} << 20;
constexpr char const* writer_name = "gpt_ckpt";

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string parent_of(std::string const& path) {
  auto const parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

/// Throws IoError unless nothing is there.
void expect_free(std::string const& path) {
  if (std::filesystem::symlink_status(path).type() == std::filesystem::file_type::not_found) return;
  throw tessera::IoError(fmt::format("{} exists; nothing is overwritten", in_quotes(path)),
                         tessera::ExitCode::cannot_create);
}

/// Writes files one after the other, each full with its share of all bytes.
class Resharding {
 public:
  Resharding(Reader const& source, std::string directory, int files)
      : source_(source), directory_(std::move(directory)), files_(files), manifest_(source.manifest()) {
    for (auto const& [tensor, shards] : manifest_.tensors) total_ += bytes_of(tensor);
    manifest_.created_by = fmt::format("gpt_ckpt of tessera {}", tessera::version());
    manifest_.files.clear();
  }

  /// The manifest of what has been written.
  checkpoint::Manifest write() {
    auto const share = (total_ + files_ - 1) / files_;
    for (auto& [tensor, shards] : manifest_.tensors) {
      shards.clear();
      for_each_block(tensor, std::min(share, most_block_bytes),
                     [&, &entry = tensor, &boxes = shards](auto const& piece) {
                       turn_to(done_ / share);
                       auto shard = writer_->write(entry, piece.box, read(source_, entry, piece.box));
                       done_ += element_count(piece.box) * static_cast<std::int64_t>(size_bytes(entry.dtype));
                       shard.file = std::ssize(manifest_.files);
                       boxes.push_back(std::move(shard));
                     });
    }
    finish_file();
    return std::move(manifest_);
  }

 private:
  void turn_to(std::int64_t file) {
    if (writer_ && file == file_) return;
    finish_file();
    file_ = file;
    writer_.emplace(checkpoint::path_in(directory_, fmt::format("rank_{:05}.h5", file)), manifest_.step,
                    writer_name);
  }

  void finish_file() {
    if (writer_) manifest_.files.push_back(writer_->finish());
    writer_.reset();
  }

  Reader const& source_;
  std::string directory_;
  int files_;
  checkpoint::Manifest manifest_;
  std::int64_t total_ = 0;
  std::int64_t done_ = 0;
  std::int64_t file_ = 0;
  std::optional<checkpoint::ShardFileWriter> writer_;
};

}  // namespace

int reshard(std::string const& path, std::string const& out, int files) {
  auto const place = without_slash(out);
  auto const temporary = place + ".tmp-gpt_ckpt";
  expect_free(place);
  auto const source = open(path);
  checkpoint::make_directories(parent_of(place));
  checkpoint::create_directory(temporary);
  try {
    auto const manifest = Resharding(source, temporary, files).write();
    auto const bytes = checkpoint::complete(temporary, manifest, writer_name);
    expect_free(place);
    checkpoint::put_in_place(temporary, place);
    fmt::print("{}: {} files, {}\n", place, manifest.files.size() + 1, human(bytes));
  } catch (...) {
    checkpoint::remove_tree(temporary);
    throw;
  }
  return 0;
}

int export_file(std::string const& path, std::string const& file) {
  expect_free(file);
  auto const source = open(path);
  checkpoint::ShardFileWriter writer(file, source.manifest().step, writer_name);
  for (auto const& [tensor, shards] : source.manifest().tensors) {
    auto const everything = checkpoint::whole(tensor.shape);
    writer.write(tensor, everything, read(source, tensor, everything));
  }
  auto const entry = writer.finish();
  checkpoint::sync_directory(parent_of(file));
  fmt::print("{}: {} tensors, {}\n", file, source.manifest().tensors.size(), human(entry.bytes));
  return 0;
}

}  // namespace gpt_ckpt
