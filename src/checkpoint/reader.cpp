// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/checkpoint/reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "checkpoint/join.hpp"
#include "tessera/base/error.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/shard_file.hpp"

namespace tessera::checkpoint {

namespace {

constexpr std::size_t most_differences = 10;

std::string describe(DType dtype, std::vector<std::int64_t> const& shape) {
  return fmt::format("{} ({})", to_string(dtype), join(shape));
}

/// What one shard has of one slice.
struct Fetch {
  Shard const* shard = nullptr;
  TensorEntry const* tensor = nullptr;
  BoxMemory const* to = nullptr;
  Box what;
};

}  // namespace

struct Reader::Body {
  Body(std::string where, Manifest what) : directory(std::move(where)), manifest(std::move(what)) {
    for (auto const& sharded : manifest.tensors) by_name.emplace(sharded.tensor.name, &sharded);
    contents = contents_of(manifest);
  }

  [[nodiscard]] ShardedTensor const& find(Slice const& slice) const {
    auto const found = by_name.find(slice.tensor);
    if (found == by_name.end()) {
      throw DataError(fmt::format("{} has no tensor {}", in_quotes(directory), in_quotes(slice.tensor)));
    }
    auto const& tensor = found->second->tensor;
    if (tensor.dtype != slice.dtype || tensor.shape != slice.shape) {
      throw DataError(fmt::format("{}: tensor {} is {}, but {} is wanted", in_quotes(directory),
                                  in_quotes(slice.tensor), describe(tensor.dtype, tensor.shape),
                                  describe(slice.dtype, slice.shape)));
    }
    return *found->second;
  }

  /// All that `slices` take, file by file in the order of the places there.
  [[nodiscard]] std::vector<Fetch> plan(std::span<Slice const> slices) const {
    std::vector<Fetch> fetches;
    for (auto const& slice : slices) {
      auto const& sharded = find(slice);
      require(!problem_of_box(slice.shape, slice.memory.box), "a slice lies in its tensor");
      for (auto const& shard : sharded.shards) {
        auto what = intersection(shard.box, slice.memory.box);
        if (what) fetches.push_back({&shard, &sharded.tensor, &slice.memory, std::move(*what)});
      }
    }
    std::ranges::stable_sort(
        fetches, {}, [](Fetch const& fetch) { return std::pair(fetch.shard->file, fetch.shard->position); });
    return fetches;
  }

  std::string directory;
  Manifest manifest;
  std::map<std::string_view, ShardedTensor const*> by_name;
  std::vector<FileContent> contents;
};

Reader::Reader(std::string directory, Manifest manifest)
    : body_(std::make_unique<Body>(std::move(directory), std::move(manifest))) {}
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;
Reader::~Reader() = default;

Manifest const& Reader::manifest() const noexcept { return body_->manifest; }
std::string const& Reader::directory() const noexcept { return body_->directory; }

std::vector<std::string> Reader::differences(std::span<TensorEntry const> wanted) const {
  std::vector<std::string> lines;
  std::map<std::string_view, TensorEntry const*> wanted_by_name;
  for (auto const& tensor : wanted) {
    wanted_by_name.emplace(tensor.name, &tensor);
    auto const found = body_->by_name.find(tensor.name);
    if (found == body_->by_name.end()) {
      lines.push_back(fmt::format("{} is missing in the checkpoint", in_quotes(tensor.name)));
    } else if (auto const& saved = found->second->tensor; saved != tensor) {
      lines.push_back(fmt::format("{} is {} in the checkpoint, {} here", in_quotes(tensor.name),
                                  describe(saved.dtype, saved.shape), describe(tensor.dtype, tensor.shape)));
    }
  }
  for (auto const& [name, sharded] : body_->by_name) {
    if (!wanted_by_name.contains(name)) {
      lines.push_back(fmt::format("{} is in the checkpoint, but not here", in_quotes(name)));
    }
  }
  if (lines.size() > most_differences) {
    auto const others = lines.size() - most_differences;
    lines.resize(most_differences);
    lines.push_back(fmt::format("and {} more", others));
  }
  return lines;
}

void Reader::read(std::span<Slice const> slices) const {
  std::optional<ShardFileReader> reader;
  std::int64_t open = -1;
  for (auto const& fetch : body_->plan(slices)) {
    if (std::int64_t const file = fetch.shard->file; file != open) {
      reader.reset();
      reader.emplace(body_->directory, body_->contents[static_cast<std::size_t>(file)], Verify::metadata);
      open = file;
    }
    reader->read(*fetch.tensor, *fetch.shard, fetch.what, *fetch.to);
  }
}

}  // namespace tessera::checkpoint
