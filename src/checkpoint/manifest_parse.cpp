// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <limits>
#include <set>
#include <unordered_set>
#include <utility>

#include "checkpoint/json_node.hpp"
#include "tessera/base/error.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/manifest.hpp"

namespace tessera::checkpoint {

namespace {

constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t max_shards = 4'000'000;
constexpr std::size_t max_files = 1'000'000;

void expect_version(JsonNode const& root) {
  if (root.at("format").text(max_name_bytes) != "tessera checkpoint") root.refuse("not a Tessera checkpoint");
  JsonNode const node = root.at("version");
  auto const version = node.integer(1, largest);
  if (version > format_version) {
    node.refuse(
        fmt::format("format version {} is newer than {}, the newest that this program reads: use the "
                    "release that wrote it, or a later one",
                    version, format_version));
  }
}

Layout parse_layout(JsonNode const& node) {
  node.expect_keys({"ranks", "tp", "pp", "dp", "tiles"});
  auto const number = [&](std::string_view key, std::int64_t least) {
    return node.at(key).integer(least, std::numeric_limits<std::int32_t>::max());
  };
  return {number("ranks", 1), number("tp", 1), number("pp", 1), number("dp", 1), number("tiles", 0)};
}

std::vector<FileEntry> parse_files(JsonNode const& node) {
  std::vector<FileEntry> files(node.size_of_array(max_files));
  std::unordered_set<std::string> names;
  for (std::size_t k = 0; k < files.size(); ++k) {
    JsonNode const entry = node.at(k);
    entry.expect_keys({"name", "bytes", "xxh3_128", "writer"});
    FileEntry& file = files[k];
    file = {entry.at("name").text(max_name_bytes), entry.at("bytes").integer(0, largest),
            entry.at("xxh3_128").hash(), entry.at("writer").text(max_name_bytes)};
    entry.refuse_if(problem_of_file_name(file.name));
    if (!names.insert(file.name).second) entry.refuse("the same file name a second time");
  }
  return files;
}

Shard parse_shard(JsonNode const& node, TensorEntry const& tensor, std::vector<FileEntry> const& files) {
  node.expect_keys({"file", "dataset", "position", "offset", "extent", "xxh3_128"});
  Shard shard{{node.at("offset").integers(0), node.at("extent").integers(1)},
              node.at("file").integer(0, largest),
              node.at("dataset").text(2 * max_name_bytes),
              node.at("position").integer(0, largest),
              node.at("xxh3_128").hash()};
  if (shard.file >= std::ssize(files)) node.refuse(fmt::format("there is no file {}", shard.file));
  if (!is_dataset_of(shard.dataset, tensor.name)) {
    node.refuse(
        fmt::format("dataset {} does not belong to tensor '{}'", in_quotes(shard.dataset), tensor.name));
  }
  node.refuse_if(problem_of_box(tensor.shape, shard.box));
  auto const bytes = Dataset{&tensor, &shard}.bytes();
  auto const& file = files[static_cast<std::size_t>(shard.file)];
  if (bytes > file.bytes || shard.position > file.bytes - bytes) {
    node.refuse(fmt::format("{} bytes from byte {} on do not fit into '{}' of {} bytes", bytes,
                            shard.position, file.name, file.bytes));
  }
  return shard;
}

ShardedTensor parse_tensor(JsonNode const& node, std::vector<FileEntry> const& files,
                           std::size_t& shards_left) {
  node.expect_keys({"name", "dtype", "shape", "shards"});
  ShardedTensor sharded;
  auto& tensor = sharded.tensor;
  tensor.name = node.at("name").text(max_name_bytes);
  auto const dtype = parse_dtype(node.at("dtype").text(max_name_bytes));
  if (!dtype) node.at("dtype").refuse("unknown element type");
  tensor.dtype = *dtype;
  tensor.shape = node.at("shape").integers(1);
  node.refuse_if(problem_of_tensor(tensor));
  JsonNode const shards = node.at("shards");
  auto const count = shards.size_of_array(shards_left);
  shards_left -= count;
  std::vector<Box> boxes;
  std::set<std::pair<std::int64_t, std::string>> places;
  for (std::size_t k = 0; k < count; ++k) {
    auto const& shard = sharded.shards.emplace_back(parse_shard(shards.at(k), tensor, files));
    if (!places.emplace(shard.file, shard.dataset).second)
      shards.at(k).refuse("the same dataset a second time");
    boxes.push_back(shard.box);
  }
  node.refuse_if(problem_of_cover(tensor.shape, boxes));
  return sharded;
}

/// No name twice, and none that stands where another one needs a group.
void expect_tree(JsonNode const& node, std::vector<ShardedTensor> const& tensors) {
  std::unordered_set<std::string_view> names;
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    if (!names.insert(tensors[k].tensor.name).second) node.at(k).refuse("the same tensor a second time");
  }
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    std::string_view const name = tensors[k].tensor.name;
    for (auto slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
      if (names.contains(name.substr(0, slash))) {
        node.at(k).refuse(fmt::format("'{}' is a tensor and cannot be a group too", name.substr(0, slash)));
      }
    }
  }
}

/// No two datasets share bytes of a file.
void expect_apart(JsonNode const& node, Manifest const& manifest) {
  for (auto const& content : contents_of(manifest)) {
    Dataset before;
    for (auto const& dataset : content.datasets) {
      if (before.shard != nullptr && before.shard->position + before.bytes() > dataset.shard->position) {
        node.refuse(fmt::format("datasets '{}' and '{}' share bytes of '{}'", before.shard->dataset,
                                dataset.shard->dataset, content.file->name));
      }
      before = dataset;
    }
  }
}

}  // namespace

Manifest parse_manifest(std::string_view text, std::string const& name) {
  if (text.size() > max_manifest_bytes) {
    throw DataError(
        fmt::format("{}: {} bytes, at most {}", in_quotes(name), text.size(), max_manifest_bytes));
  }
  if (!seal_is_whole(text)) {
    throw DataError(fmt::format("{}: damaged or changed: its text does not have the hash in its last line",
                                in_quotes(name)));
  }
  nlohmann::json const json = parse_strict_json(text, name);
  JsonNode const root(json, name);
  if (!json.is_object()) root.refuse("expected an object");
  expect_version(root);
  root.expect_keys({"format", "version", "created_by", "step", "layout", "config", "state", "files",
                    "tensors", "xxh3_128"});
  Manifest manifest;
  manifest.version = root.at("version").integer(1, format_version);
  manifest.created_by = root.at("created_by").text(max_name_bytes);
  manifest.step = root.at("step").integer(0, largest);
  manifest.layout = parse_layout(root.at("layout"));
  manifest.config = root.at("config").values();
  manifest.state = root.at("state").values();
  manifest.files = parse_files(root.at("files"));
  JsonNode const tensors = root.at("tensors");
  auto const count = tensors.size_of_array(max_tensors);
  std::size_t shards_left = max_shards;
  for (std::size_t k = 0; k < count; ++k) {
    manifest.tensors.push_back(parse_tensor(tensors.at(k), manifest.files, shards_left));
  }
  expect_tree(tensors, manifest.tensors);
  expect_apart(tensors, manifest);
  return manifest;
}

}  // namespace tessera::checkpoint
