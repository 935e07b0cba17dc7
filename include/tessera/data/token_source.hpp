// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A long row of tokens on disk, read at any place. A source keeps no tokens in memory: opening looks at
// names, sizes and headers, and a read fetches only what it was asked for, so a rank that needs one sample of
// a terabyte reads one sample. docs/data.md is the user's page on the formats.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::data {

/// Tokens 0 .. size() - 1 of a data set, in an order that every rank sees alike. Not collective; one thread
/// at a time per object.
class TokenSource {
 public:
  TokenSource() = default;
  TokenSource(TokenSource const&) = delete;
  TokenSource& operator=(TokenSource const&) = delete;
  virtual ~TokenSource() = default;

  /// Number of tokens, at least 1.
  [[nodiscard]] virtual std::int64_t size() const = 0;

  /// Fills `out` with tokens first .. first + out.size() - 1, which must lie inside the source. Allocates
  /// nothing. An id that does not fit 31 bits arrives as the negative number with the same 32 bits.
  /// Throws DataError when a file ends too early, or, where it had to be opened again, has gone or another
  /// size; IoError when reading fails.
  virtual void read(std::int64_t first, std::span<std::int32_t> out) const = 0;

  /// Every id is below this, by the width of what is stored: 256, 65,536 or 2^32. A bound, not the
  /// vocabulary.
  [[nodiscard]] virtual std::int64_t vocab_bound() const = 0;

  /// Where token `position` is stored, for messages: "token 7 of 'shard_2.bin'".
  [[nodiscard]] virtual std::string locate(std::int64_t position) const = 0;

  /// The files, in the order of their tokens.
  [[nodiscard]] virtual std::vector<std::string> files() const = 0;

  /// One line for the head of a run: "14 files of bytes, 237320 tokens".
  [[nodiscard]] virtual std::string description() const = 0;
};

/// Opens `path`: a file, a directory, or a pattern with * ? [ ] as in a shell when no file has that very
/// name.
///
/// A directory stands for all files under it, in the order of their relative paths compared byte by byte
/// (that of LC_ALL=C sort). Names that begin with a dot are left out, links to directories are not followed,
/// and a file with several names counts once, under the first. The stream is the tokens of the files one
/// after another with nothing between them. Only the formats of shards leave out files whose names do not end
/// in .bin.
///
/// `format` says what the files are:
///   bytes  any file, a token a byte; empty files add nothing
///   llmc   shards of llm.c: 256 little-endian int32 (magic, version, tokens, zeros), then the ids as u16
///   (magic
///          20240520, version 1) or u32 (magic 20240801, version 7)
///   u16    the .bin files of nanoGPT: ids as little-endian u16, no header
///   auto   per file: llmc if it begins with one of the two magic numbers, else u16 if its name ends in .bin,
///          else bytes; all files must come out alike. (Bytes taken for u16 by mistake soon give an id beyond
///          the vocabulary, which is an error; u16 taken for bytes would train on nonsense without one.)
///
/// Throws ConfigError for an unknown format; DataError with code no_input (nothing there), permission, or
/// data: nothing to read, not a regular file, a header or size that is wrong, shards of different widths.
/// IoError when reading fails.
[[nodiscard]] std::unique_ptr<TokenSource> open_tokens(std::string const& path,
                                                       std::string_view format = "auto");

}  // namespace tessera::data
