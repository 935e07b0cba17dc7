// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/pack.hpp"

#include <cstring>

#include "tessera/base/error.hpp"

namespace tessera::checkpoint {

void Packer::number(std::int64_t value) {
  auto const* const bytes = reinterpret_cast<std::uint8_t const*>(&value);
  bytes_.insert(bytes_.end(), bytes, bytes + sizeof value);
}

void Packer::text(std::string_view value) {
  number(std::ssize(value));
  bytes_.insert(bytes_.end(), value.begin(), value.end());
}

void Packer::box(Box const& value) {
  number(std::ssize(value.extent));
  for (auto const offset : value.offset) number(offset);
  for (auto const extent : value.extent) number(extent);
}

void Packer::tiles(std::optional<TileRange> const& value) {
  number(value ? value->first : -1);
  number(value ? value->count : -1);
}

void Packer::hash(Hash128 value) {
  number(static_cast<std::int64_t>(value.high));
  number(static_cast<std::int64_t>(value.low));
}

std::span<std::uint8_t const> Unpacker::take(std::size_t bytes) {
  require(bytes <= rest_.size(), "a message holds what was put into it");
  auto const taken = rest_.first(bytes);
  rest_ = rest_.subspan(bytes);
  return taken;
}

std::int64_t Unpacker::number() {
  std::int64_t value = 0;
  std::memcpy(&value, take(sizeof value).data(), sizeof value);
  return value;
}

std::string Unpacker::text() {
  auto const bytes = take(static_cast<std::size_t>(number()));
  return {bytes.begin(), bytes.end()};
}

Box Unpacker::box() {
  auto const ndim = static_cast<std::size_t>(number());
  require(ndim <= static_cast<std::size_t>(max_ndim), "a box has as many dims as a tensor may have");
  Box box{std::vector<std::int64_t>(ndim), std::vector<std::int64_t>(ndim)};
  for (auto& offset : box.offset) offset = number();
  for (auto& extent : box.extent) extent = number();
  return box;
}

std::optional<TileRange> Unpacker::tiles() {
  TileRange range;
  range.first = number();
  range.count = number();
  return range.count < 0 ? std::nullopt : std::optional(range);
}

Hash128 Unpacker::hash() {
  Hash128 value;
  value.high = static_cast<std::uint64_t>(number());
  value.low = static_cast<std::uint64_t>(number());
  return value;
}

}  // namespace tessera::checkpoint
