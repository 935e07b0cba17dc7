// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Numbers and texts as bytes that one rank sends to another of the same job; never stored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tessera/checkpoint/manifest.hpp"
#include "tessera/checkpoint/shard_file.hpp"

namespace tessera::checkpoint {

class Packer {
 public:
  void number(std::int64_t value);
  void text(std::string_view value);
  void box(Box const& value);
  void tiles(std::optional<TileRange> const& value);
  void hash(Hash128 value);
  [[nodiscard]] std::vector<std::uint8_t> take() { return std::move(bytes_); }

 private:
  std::vector<std::uint8_t> bytes_;
};

/// Takes out what a Packer put in, in the same order.
class Unpacker {
 public:
  explicit Unpacker(std::span<std::uint8_t const> bytes) : rest_(bytes) {}
  std::int64_t number();
  std::string text();
  Box box();
  std::optional<TileRange> tiles();
  Hash128 hash();
  [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }

 private:
  std::span<std::uint8_t const> take(std::size_t bytes);
  std::span<std::uint8_t const> rest_;
};

}  // namespace tessera::checkpoint
