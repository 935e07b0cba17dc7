// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "data/input_file.hpp"

namespace tessera::data {

enum class TokenFormat { automatic, bytes, llmc, u16 };

/// By its name on the command line. Throws ConfigError with the names there are.
TokenFormat parse_token_format(std::string_view name);

/// Where the tokens of one file are.
struct TokenLayout {
  TokenFormat format = TokenFormat::bytes;  // never automatic
  int width = 1;                            // bytes of one token: 1, 2 or 4
  std::int64_t header_bytes = 0;
  std::int64_t tokens = 0;

  /// "bytes", "u16 llm.c shards" ...
  [[nodiscard]] std::string name() const;
};

/// Finds the layout of an open file and checks what its header claims against its size. Throws DataError with
/// file and numbers. Only files of `bytes` may be empty.
TokenLayout inspect_tokens(InputFile const& file, std::string const& path, TokenFormat format);

/// The ids of `raw`, little-endian numbers of `width` bytes; out.size() = raw.size() / width. `raw` may be
/// the end of the memory of `out`.
void widen_tokens(std::span<std::byte const> raw, int width, std::span<std::int32_t> out);

}  // namespace tessera::data
