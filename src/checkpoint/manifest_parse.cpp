// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_set>
#include <utility>

#include "tessera/base/error.hpp"
#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/manifest.hpp"

namespace tessera::checkpoint {

namespace {

using Json = nlohmann::json;

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t max_shards = 4'000'000;
constexpr std::size_t max_files = 1'000'000;
constexpr std::size_t max_values = 100'000;
constexpr std::size_t max_value_bytes = std::size_t{1} << 20;

/// A value of the document and how it is reached, for messages. Lives shorter than its parent.
class Node {
 public:
  Node(Json const& value, std::string const& document) : value_(value), document_(document) {}

  [[noreturn]] void refuse(std::string const& what) const {
    throw DataError(fmt::format("{}: {}: {}", in_quotes(document_), place(), what));
  }
  void refuse_if(std::optional<std::string> const& problem) const {
    if (problem) refuse(*problem);
  }

  [[nodiscard]] Node at(std::string_view key) const {
    auto const found = value_.find(key);
    if (found == value_.end()) refuse(fmt::format("'{}' is missing", key));
    return {*found, *this, key, 0};
  }
  [[nodiscard]] Node at(std::size_t index) const { return {value_[index], *this, {}, index}; }

  /// An object with these keys and no others.
  void expect_keys(std::initializer_list<std::string_view> keys) const {
    if (!value_.is_object()) refuse("expected an object");
    for (auto const& [key, value] : value_.items()) {
      if (std::ranges::find(keys, key) == keys.end()) refuse(fmt::format("unknown key {}", in_quotes(key)));
    }
    for (auto const key : keys) static_cast<void>(at(key));
  }

  [[nodiscard]] std::size_t size_of_array(std::size_t limit) const {
    if (!value_.is_array()) refuse("expected an array");
    if (value_.size() > limit) refuse(fmt::format("{} entries, at most {}", value_.size(), limit));
    return value_.size();
  }

  [[nodiscard]] std::int64_t integer(std::int64_t least, std::int64_t greatest) const {
    bool const fits = value_.is_number_integer() &&
                      !(value_.is_number_unsigned() && value_.get<std::uint64_t>() > std::uint64_t{most});
    if (!fits) refuse("expected a whole number below 2^63");
    auto const number = value_.get<std::int64_t>();
    if (number < least || number > greatest) {
      refuse(fmt::format("{} does not lie between {} and {}", number, least, greatest));
    }
    return number;
  }

  [[nodiscard]] std::string const& text(std::size_t limit) const {
    if (!value_.is_string()) refuse("expected a text");
    auto const& text = value_.get_ref<std::string const&>();
    if (text.size() > limit) refuse(fmt::format("a text of {} bytes, at most {}", text.size(), limit));
    return text;
  }

  [[nodiscard]] Hash128 hash() const {
    auto const hash = parse_hash(text(max_name_bytes));
    if (!hash) refuse("expected 32 digits of 0-9 and a-f");
    return *hash;
  }

  [[nodiscard]] std::vector<std::int64_t> integers(std::int64_t least) const {
    std::vector<std::int64_t> numbers(size_of_array(max_ndim));
    for (std::size_t k = 0; k < numbers.size(); ++k) numbers[k] = at(k).integer(least, most);
    return numbers;
  }

  [[nodiscard]] Values values() const {
    if (!value_.is_object()) refuse("expected an object");
    if (value_.size() > max_values) refuse(fmt::format("{} entries, at most {}", value_.size(), max_values));
    Values values;
    for (auto const& [key, value] : value_.items()) values.emplace(key, at(key).text(max_value_bytes));
    return values;
  }

 private:
  Node(Json const& value, Node const& parent, std::string_view key, std::size_t index)
      : value_(value), document_(parent.document_), parent_(&parent), key_(key), index_(index) {}

  [[nodiscard]] std::string place() const {
    if (parent_ == nullptr) return "the manifest";
    std::string const own = key_.empty() ? fmt::format("[{}]", index_) : in_quotes(key_);
    return parent_->parent_ == nullptr ? own : parent_->place() + (key_.empty() ? "" : " ") + own;
  }

  Json const& value_;
  std::string const& document_;
  Node const* parent_ = nullptr;
  std::string_view key_;
  std::size_t index_ = 0;
};

/// Watches the parser: no key twice in an object, no deep nesting.
class Watch {
 public:
  bool operator()(int depth, Json::parse_event_t event, Json const& parsed) {
    using Event = Json::parse_event_t;
    if (depth > 6) throw DataError("nested deeper than a manifest is");
    if (event == Event::object_start) keys_.emplace_back();
    if (event == Event::object_end) keys_.pop_back();
    if (event == Event::key && !keys_.back().insert(parsed.get<std::string>()).second) {
      throw DataError(fmt::format("key {} stands twice in one object", in_quotes(parsed.get<std::string>())));
    }
    return true;
  }

 private:
  std::vector<std::set<std::string>> keys_;
};

Json parse_json(std::string_view text, std::string const& name) {
  Watch watch;
  try {
    return Json::parse(text, [&](int depth, Json::parse_event_t event, Json const& parsed) {
      return watch(depth, event, parsed);
    });
  } catch (Json::exception const& error) {
    throw DataError(fmt::format("{}: not JSON: {}", in_quotes(name), error.what()));
  } catch (DataError const& error) {
    throw DataError(fmt::format("{}: {}", in_quotes(name), error.what()));
  }
}

void expect_version(Node const& root) {
  if (root.at("format").text(max_name_bytes) != "tessera checkpoint") root.refuse("not a Tessera checkpoint");
  Node const node = root.at("version");
  auto const version = node.integer(1, most);
  if (version > format_version) {
    node.refuse(
        fmt::format("format version {} is newer than {}, the newest that this program reads: use the "
                    "release that wrote it, or a later one",
                    version, format_version));
  }
}

Layout parse_layout(Node const& node) {
  node.expect_keys({"ranks", "tp", "pp", "dp", "tiles"});
  auto const number = [&](std::string_view key, std::int64_t least) {
    return node.at(key).integer(least, std::numeric_limits<std::int32_t>::max());
  };
  return {number("ranks", 1), number("tp", 1), number("pp", 1), number("dp", 1), number("tiles", 0)};
}

std::vector<FileEntry> parse_files(Node const& node) {
  std::vector<FileEntry> files(node.size_of_array(max_files));
  std::unordered_set<std::string> names;
  for (std::size_t k = 0; k < files.size(); ++k) {
    Node const entry = node.at(k);
    entry.expect_keys({"name", "bytes", "xxh3_128", "writer"});
    FileEntry& file = files[k];
    file = {entry.at("name").text(max_name_bytes), entry.at("bytes").integer(0, most),
            entry.at("xxh3_128").hash(), entry.at("writer").text(max_name_bytes)};
    entry.refuse_if(problem_of_file_name(file.name));
    if (!names.insert(file.name).second) entry.refuse("the same file name a second time");
  }
  return files;
}

Shard parse_shard(Node const& node, TensorEntry const& tensor, std::vector<FileEntry> const& files) {
  node.expect_keys({"file", "dataset", "offset", "extent", "xxh3_128"});
  Shard shard{{node.at("offset").integers(0), node.at("extent").integers(1)},
              node.at("file").integer(0, most),
              node.at("dataset").text(2 * max_name_bytes),
              node.at("xxh3_128").hash()};
  if (shard.file >= std::ssize(files)) node.refuse(fmt::format("there is no file {}", shard.file));
  if (!is_dataset_of(shard.dataset, tensor.name)) {
    node.refuse(
        fmt::format("dataset {} does not belong to tensor '{}'", in_quotes(shard.dataset), tensor.name));
  }
  node.refuse_if(problem_of_box(tensor.shape, shard.box));
  auto const bytes = element_count(shard.box) * static_cast<std::int64_t>(size_bytes(tensor.dtype));
  auto const& file = files[static_cast<std::size_t>(shard.file)];
  if (bytes > file.bytes) {
    node.refuse(fmt::format("{} bytes do not fit into '{}' of {} bytes", bytes, file.name, file.bytes));
  }
  return shard;
}

ShardedTensor parse_tensor(Node const& node, std::vector<FileEntry> const& files, std::size_t& shards_left) {
  node.expect_keys({"name", "dtype", "shape", "shards"});
  ShardedTensor sharded;
  auto& tensor = sharded.tensor;
  tensor.name = node.at("name").text(max_name_bytes);
  auto const dtype = parse_dtype(node.at("dtype").text(max_name_bytes));
  if (!dtype) node.at("dtype").refuse("unknown element type");
  tensor.dtype = *dtype;
  tensor.shape = node.at("shape").integers(1);
  node.refuse_if(problem_of_tensor(tensor));
  Node const shards = node.at("shards");
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
void expect_tree(Node const& node, std::vector<ShardedTensor> const& tensors) {
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
  Json const json = parse_json(text, name);
  Node const root(json, name);
  if (!json.is_object()) root.refuse("expected an object");
  expect_version(root);
  root.expect_keys({"format", "version", "created_by", "step", "layout", "config", "state", "files",
                    "tensors", "xxh3_128"});
  Manifest manifest;
  manifest.version = root.at("version").integer(1, format_version);
  manifest.created_by = root.at("created_by").text(max_name_bytes);
  manifest.step = root.at("step").integer(0, most);
  manifest.layout = parse_layout(root.at("layout"));
  manifest.config = root.at("config").values();
  manifest.state = root.at("state").values();
  manifest.files = parse_files(root.at("files"));
  Node const tensors = root.at("tensors");
  auto const count = tensors.size_of_array(max_tensors);
  std::size_t shards_left = max_shards;
  for (std::size_t k = 0; k < count; ++k) {
    manifest.tensors.push_back(parse_tensor(tensors.at(k), manifest.files, shards_left));
  }
  expect_tree(tensors, manifest.tensors);
  return manifest;
}

}  // namespace tessera::checkpoint
