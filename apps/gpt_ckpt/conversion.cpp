// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>

#include "commands.hpp"
#include "opened.hpp"
#include "partial.hpp"
#include "tessera/base/compute_types.hpp"
#include "tessera/base/error.hpp"
#include "tessera/base/version.hpp"
#include "tessera/checkpoint/commit.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/shard_file.hpp"
#include "tessera/checkpoint/steps.hpp"

namespace gpt_ckpt {

namespace {

using checkpoint::in_quotes;
using checkpoint::Reader;
using tessera::DType;

constexpr std::int64_t most_block_bytes = std::int64_t{64} << 20;
constexpr char const* writer_name = "gpt_ckpt";

/// Throws IoError when a directory is named after a step that it will not hold: readers would refuse it.
void expect_own_name(std::string const& place, std::int64_t step) {
  auto const named = checkpoint::parse_step_name(std::filesystem::path(place).filename().string());
  if (!named || *named == step) return;
  throw tessera::IoError(
      fmt::format("{} has the name of another step: this is step {}, so name it {} or anything else",
                  in_quotes(place), step, in_quotes(checkpoint::step_name(step))),
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

template <class To, class From>
std::vector<std::byte> converted(std::vector<std::byte> const& from) {
  std::vector<std::byte> to(from.size() / sizeof(From) * sizeof(To));
  for (std::size_t i = 0; i < from.size() / sizeof(From); ++i) {
    From x{};
    std::memcpy(&x, &from[i * sizeof(From)], sizeof(From));
    auto const y = static_cast<To>(static_cast<float>(x));
    std::memcpy(&to[i * sizeof(To)], &y, sizeof(To));
  }
  return to;
}

template <class To>
std::vector<std::byte> converted_to(std::vector<std::byte> const& elements, DType from) {
  switch (from) {
    case DType::f64: return converted<To, double>(elements);
    case DType::bf16: return converted<To, tessera::bf16>(elements);
    case DType::f16: return converted<To, tessera::f16>(elements);
    default: return converted<To, float>(elements);
  }
}

/// `elements` of the floating-point type `from` as `to`, f32, bf16 or f16.
std::vector<std::byte> converted(std::vector<std::byte> elements, DType from, DType to) {
  if (from == to) return elements;
  if (to == DType::bf16) return converted_to<tessera::bf16>(elements, from);
  if (to == DType::f16) return converted_to<tessera::f16>(elements, from);
  return converted_to<float>(elements, from);
}

/// What an exported tensor is made of.
DType exported_type(DType own, std::string const& wanted) {
  bool const floating = own == DType::f32 || own == DType::f64 || own == DType::bf16 || own == DType::f16;
  return floating && !wanted.empty() ? checkpoint::parse_dtype(wanted).value() : own;
}

}  // namespace

int reshard(std::string const& path, std::string const& out, int files) {
  expect_free(out);
  auto const source = open(path);
  Partial partial(out);
  expect_own_name(partial.place(), source.manifest().step);
  auto const manifest = Resharding(source, partial.directory(), files).write();
  auto const bytes = checkpoint::complete(partial.directory(), manifest, writer_name);
  partial.put_in_place();
  fmt::print("{}: {} files, {}\n", partial.place(), manifest.files.size() + 1, human(bytes));
  return 0;
}

int export_file(std::string const& path, std::string const& file, std::string const& dtype) {
  expect_free(file);
  auto const source = open(path);
  Partial partial(file);
  auto const name = std::filesystem::path(partial.place()).filename().string();
  checkpoint::ShardFileWriter writer(checkpoint::path_in(partial.directory(), name), source.manifest().step,
                                     writer_name);
  for (auto const& [tensor, shards] : source.manifest().tensors) {
    auto const everything = checkpoint::whole(tensor.shape);
    auto exported = tensor;
    exported.dtype = exported_type(tensor.dtype, dtype);
    writer.write(exported, everything,
                 converted(read(source, tensor, everything), tensor.dtype, exported.dtype));
  }
  auto const entry = writer.finish();
  partial.put_in_place(name);
  fmt::print("{}: {} tensors, {}\n", partial.place(), source.manifest().tensors.size(), human(entry.bytes));
  return 0;
}

}  // namespace gpt_ckpt
