// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "checkpoint/join.hpp"
#include "tessera/base/error.hpp"
#include "tessera/checkpoint/manifest.hpp"

namespace tessera::checkpoint {

namespace {

constexpr std::string_view seal_key = " \"xxh3_128\": \"";
constexpr std::string_view seal_end = "\"\n}\n";
constexpr std::size_t seal_digits = 32;

/// A JSON string; bytes that are no UTF-8 become U+FFFD.
std::string quoted(std::string const& text) {
  return nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

/// `lines` between brackets, each on a line of its own behind `indent`.
std::string block(char open, std::vector<std::string> const& lines, char close, std::string_view indent) {
  if (lines.empty()) return fmt::format("{}{}", open, close);
  return fmt::format("{}\n{} {}\n{}{}", open, indent, join(lines, fmt::format(",\n{} ", indent)), indent,
                     close);
}

template <class Range, class Function>
std::vector<std::string> lines_of(Range const& range, Function const& line) {
  std::vector<std::string> lines;
  lines.reserve(range.size());
  std::ranges::transform(range, std::back_inserter(lines), line);
  return lines;
}

std::string text_of(Values const& values) {
  auto const lines = lines_of(values, [](auto const& value) {
    return fmt::format("{}: {}", quoted(value.first), quoted(value.second));
  });
  return block('{', lines, '}', " ");
}

std::string text_of(FileEntry const& file) {
  return fmt::format(R"({{"name": {}, "bytes": {}, "xxh3_128": "{}", "writer": {}}})", quoted(file.name),
                     file.bytes, to_hex(file.hash), quoted(file.writer));
}

std::string text_of(Shard const& shard) {
  return fmt::format(
      R"({{"file": {}, "dataset": {}, "position": {}, "offset": [{}], "extent": [{}], "xxh3_128": "{}"}})",
      shard.file, quoted(shard.dataset), shard.position, join(shard.box.offset), join(shard.box.extent),
      to_hex(shard.hash));
}

std::string text_of(ShardedTensor const& sharded) {
  auto const lines = lines_of(sharded.shards, [](Shard const& shard) { return text_of(shard); });
  return fmt::format(R"({{"name": {}, "dtype": "{}", "shape": [{}], "shards": {}}})",
                     quoted(sharded.tensor.name), to_string(sharded.tensor.dtype), join(sharded.tensor.shape),
                     block('[', lines, ']', "  "));
}

std::string text_of(Layout const& layout) {
  return fmt::format(R"({{"ranks": {}, "tp": {}, "pp": {}, "dp": {}, "tiles": {}}})", layout.ranks, layout.tp,
                     layout.pp, layout.dp, layout.tiles);
}

}  // namespace

std::string to_text(Manifest const& manifest) {
  auto const files = lines_of(manifest.files, [](FileEntry const& file) { return text_of(file); });
  auto const tensors =
      lines_of(manifest.tensors, [](ShardedTensor const& sharded) { return text_of(sharded); });
  std::string text = seal(fmt::format(
      "{{\n \"format\": \"tessera checkpoint\",\n \"version\": {},\n \"created_by\": {},\n \"step\": {},\n"
      " \"layout\": {},\n \"config\": {},\n \"state\": {},\n \"files\": {},\n \"tensors\": {},\n",
      manifest.version, quoted(manifest.created_by), manifest.step, text_of(manifest.layout),
      text_of(manifest.config), text_of(manifest.state), block('[', files, ']', " "),
      block('[', tensors, ']', " ")));
  try {
    static_cast<void>(parse_manifest(text, "the manifest to be written"));
  } catch (DataError const& error) {
    require(false, error.what());
  }
  return text;
}

std::string seal(std::string text) {
  text += seal_key;
  Hash128 const hash = hash_of(text);
  return text + to_hex(hash) + std::string(seal_end);
}

bool seal_is_whole(std::string_view text) noexcept {
  if (text.size() < seal_key.size() + seal_digits + seal_end.size() || !text.ends_with(seal_end))
    return false;
  text.remove_suffix(seal_end.size());
  auto const stored = parse_hash(text.substr(text.size() - seal_digits));
  text.remove_suffix(seal_digits);
  return text.ends_with(seal_key) && stored == hash_of(text);
}

}  // namespace tessera::checkpoint
