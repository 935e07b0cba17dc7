// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// XXH3 with 128 bits (Yann Collet, xxHash 0.8): notices every accident, at the speed of memory. It does not
// protect against someone who wants two files with one hash.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tessera::checkpoint {

struct Hash128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool operator==(Hash128 const&) const = default;
};

/// 32 lower-case hexadecimal digits, the high half first: what `xxhsum -H2 FILE` prints.
[[nodiscard]] std::string to_hex(Hash128 hash);

/// The reverse of to_hex; nothing for any other text, capital digits included.
[[nodiscard]] std::optional<Hash128> parse_hash(std::string_view text);

/// Hash of bytes that arrive in pieces; where they are cut makes no difference. Allocates nothing.
class Hasher {
 public:
  Hasher() noexcept;
  void update(std::span<std::byte const> bytes) noexcept;
  /// Of all bytes until now; more may follow.
  [[nodiscard]] Hash128 digest() const noexcept;

 private:
  alignas(64) std::array<std::byte, 576> state_;
};

[[nodiscard]] Hash128 hash_of(std::span<std::byte const> bytes) noexcept;
[[nodiscard]] Hash128 hash_of(std::string_view text) noexcept;

}  // namespace tessera::checkpoint
