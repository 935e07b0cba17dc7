// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/checkpoint/hash.hpp"

#define XXH_INLINE_ALL
#ifdef __AVX2__
#define XXH_VECTOR XXH_AVX2  // GCC 12 warns of its own AVX-512 header
#endif
#include <fmt/format.h>
#include <xxhash.h>

#include <new>

namespace tessera::checkpoint {

namespace {

Hash128 from_xxh(XXH128_hash_t hash) noexcept { return {hash.high64, hash.low64}; }

XXH3_state_t* state_in(std::byte* memory) noexcept {
  return std::launder(reinterpret_cast<XXH3_state_t*>(memory));
}

std::optional<std::uint64_t> parse_hex(std::string_view digits) {
  std::uint64_t value = 0;
  for (char const c : digits) {
    bool const decimal = c >= '0' && c <= '9';
    if (!decimal && (c < 'a' || c > 'f')) return std::nullopt;
    value = value << 4 | static_cast<std::uint64_t>(decimal ? c - '0' : c - 'a' + 10);
  }
  return value;
}

}  // namespace

std::string to_hex(Hash128 hash) { return fmt::format("{:016x}{:016x}", hash.high, hash.low); }

std::optional<Hash128> parse_hash(std::string_view text) {
  if (text.size() != 32) return std::nullopt;
  auto const high = parse_hex(text.substr(0, 16));
  auto const low = parse_hex(text.substr(16));
  if (!high || !low) return std::nullopt;
  return Hash128{*high, *low};
}

Hasher::Hasher() noexcept {
  static_assert(sizeof(XXH3_state_t) <= sizeof(state_) && alignof(XXH3_state_t) <= 64);
  XXH3_128bits_reset(new (state_.data()) XXH3_state_t{});
}

void Hasher::update(std::span<std::byte const> bytes) noexcept {
  XXH3_128bits_update(state_in(state_.data()), bytes.data(), bytes.size());
}

Hash128 Hasher::digest() const noexcept {
  return from_xxh(XXH3_128bits_digest(state_in(const_cast<std::byte*>(state_.data()))));
}

Hash128 hash_of(std::span<std::byte const> bytes) noexcept {
  return from_xxh(XXH3_128bits(bytes.data(), bytes.size()));
}

Hash128 hash_of(std::string_view text) noexcept { return from_xxh(XXH3_128bits(text.data(), text.size())); }

}  // namespace tessera::checkpoint
