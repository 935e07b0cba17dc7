// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Text <-> token ids, one token a byte. It needs no vocabulary file, takes any bytes whatever their encoding,
// and every sequence of ids has a text, so encode and decode are exact inverses.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::data {

/// Token id = value of the byte. No special tokens: what a document ends with is up to the text.
class ByteTokenizer {
 public:
  /// V: ids are 0 .. 255.
  [[nodiscard]] static constexpr std::int64_t vocab_size() { return 256; }

  /// The ids of the bytes of `text`, NUL bytes included.
  [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text) const;

  /// The bytes with these ids. Throws DataError naming the first id outside 0 .. 255, which a model whose
  /// vocabulary is larger than the tokenizer's can produce.
  [[nodiscard]] std::string decode(std::span<std::int32_t const> tokens) const;
};

/// `text` made safe for a terminal or a log: valid UTF-8, newlines and tabs stay as they are; other control
/// characters (C0, DEL, C1) and bytes that are not UTF-8 become \xHH. A model in training writes such bytes,
/// and a terminal would obey them. For people only: a backslash is not escaped, so it cannot be read back.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace tessera::data
