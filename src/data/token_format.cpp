// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "data/token_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "tessera/base/error.hpp"

namespace tessera::data {

namespace {

constexpr std::int64_t llmc_header_bytes = 256 * 4;

/// One version of llm.c's shard header.
struct LlmcVersion {
  std::int32_t magic;
  std::int32_t version;
  int width;
};
constexpr std::array<LlmcVersion, 2> llmc_versions = {{{20240520, 1, 2}, {20240801, 7, 4}}};

LlmcVersion const* find_llmc_version(std::int32_t magic) {
  for (auto const& known : llmc_versions) {
    if (known.magic == magic) return &known;
  }
  return nullptr;
}

/// The first three numbers of a file as an llm.c header has them; zeros where it is too short.
std::array<std::int32_t, 3> leading_numbers(InputFile const& file, std::string const& path) {
  std::array<std::int32_t, 3> numbers{};
  std::array<std::byte, 12> raw;
  if (file.size() < static_cast<std::int64_t>(raw.size())) return numbers;
  file.read_at(0, raw, path);
  widen_tokens(raw, 4, numbers);
  return numbers;
}

TokenLayout inspect_llmc(InputFile const& file, std::string const& path) {
  auto const [magic, version, tokens] = leading_numbers(file, path);
  auto const fail = [&](std::string const& what) {
    throw DataError(fmt::format("llm.c shard {}: {}", in_quotes(path), what));
  };
  if (file.size() < llmc_header_bytes) {
    fail(fmt::format("has {} bytes but the header alone takes {}", file.size(), llmc_header_bytes));
  }
  LlmcVersion const* const known = find_llmc_version(magic);
  if (known == nullptr) {
    fail(fmt::format("begins with {} where token shards have the magic number {} (u16) or {} (u32)", magic,
                     llmc_versions[0].magic, llmc_versions[1].magic));
  }
  if (version != known->version) {
    fail(fmt::format("is of version {}; with magic number {} only version {} is known", version, magic,
                     known->version));
  }
  if (tokens <= 0) fail(fmt::format("its header counts {} tokens: leave empty shards out", tokens));
  std::int64_t const bytes = llmc_header_bytes + std::int64_t{tokens} * known->width;
  if (file.size() != bytes) {
    fail(fmt::format(
        "its header counts {} tokens of {} bytes, so it should have {} bytes but has {}: it was cut "
        "short or damaged, write or copy it again",
        tokens, known->width, bytes, file.size()));
  }
  return {TokenFormat::llmc, known->width, llmc_header_bytes, tokens};
}

TokenLayout inspect_u16(InputFile const& file, std::string const& path) {
  if (file.size() == 0 || file.size() % 2 != 0) {
    throw DataError(
        fmt::format("{} has {} bytes, but u16 token ids take an even number above 0: use the format "
                    "bytes if it is not token ids",
                    in_quotes(path), file.size()));
  }
  return {TokenFormat::u16, 2, 0, file.size() / 2};
}

/// True where a file begins as if a shard's header had been lost, or was written by other rules: with a
/// number close to a magic one, one whose bytes are swapped, or a whole header of zeros. As u16 ids it would
/// be read without complaint.
bool has_doubtful_header(InputFile const& file, std::string const& path) {
  constexpr std::int64_t close = 10'000;  // magic numbers are dates, year by year
  std::int64_t const magic = leading_numbers(file, path)[0];
  auto const swapped = static_cast<std::int32_t>(__builtin_bswap32(static_cast<std::uint32_t>(magic)));
  for (auto const& known : llmc_versions) {
    if (std::abs(magic - known.magic) < close || swapped == known.magic) return true;
  }
  if (magic != 0 || file.size() < llmc_header_bytes) return false;
  std::array<std::byte, llmc_header_bytes> header;
  file.read_at(0, header, path);
  return std::ranges::all_of(header, [](std::byte byte) { return byte == std::byte{0}; });
}

TokenFormat guess_format(InputFile const& file, std::string const& path) {
  if (find_llmc_version(leading_numbers(file, path)[0]) != nullptr) return TokenFormat::llmc;
  if (!path.ends_with(".bin")) return TokenFormat::bytes;
  if (has_doubtful_header(file, path)) {
    throw DataError(fmt::format(
        "{} begins with a damaged header of a token shard, or one of another byte order or version (its "
        "first "
        "number is {}): write it again, or name the format u16 (data.format) if these are token ids",
        in_quotes(path), leading_numbers(file, path)[0]));
  }
  return TokenFormat::u16;
}

}  // namespace

TokenFormat parse_token_format(std::string_view name) {
  if (name == "auto") return TokenFormat::automatic;
  if (name == "bytes") return TokenFormat::bytes;
  if (name == "llmc") return TokenFormat::llmc;
  if (name == "u16") return TokenFormat::u16;
  throw ConfigError(
      {fmt::format("data.format = {} is not known: take auto, bytes, llmc or u16", in_quotes(name))});
}

std::string TokenLayout::name() const {
  if (format == TokenFormat::bytes) return "bytes";
  return fmt::format("{} token ids ({})", width == 2 ? "u16" : "u32",
                     format == TokenFormat::llmc ? "llm.c shards" : "no header");
}

TokenLayout inspect_tokens(InputFile const& file, std::string const& path, TokenFormat format) {
  switch (format == TokenFormat::automatic ? guess_format(file, path) : format) {
    case TokenFormat::llmc: return inspect_llmc(file, path);
    case TokenFormat::u16: return inspect_u16(file, path);
    default: return {TokenFormat::bytes, 1, 0, file.size()};
  }
}

// In place this goes front to back: token i is written to bytes 4i .. 4i+3, and the raw bytes still to come
// begin behind them, at (4 - width) * n + width * (i + 1).
void widen_tokens(std::span<std::byte const> raw, int width, std::span<std::int32_t> out) {
  std::byte const* next = raw.data();
  for (auto& token : out) {
    std::uint32_t value = 0;
    for (int i = 0; i < width; ++i) value |= std::to_integer<std::uint32_t>(*next++) << (8 * i);
    token = static_cast<std::int32_t>(value);
  }
}

}  // namespace tessera::data
