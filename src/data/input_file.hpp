// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tessera/base/unique_handle.hpp"

namespace tessera::data {

/// A file name in quotes for messages, control characters and newlines escaped.
std::string in_quotes(std::string_view path);

/// Throws what a failed attempt to find or open `path` means to a user: DataError (no_input, permission) or
/// IoError, with the system's text for `error_number`.
[[noreturn]] void throw_cannot_open(std::string const& path, int error_number);

struct DescriptorTraits {
  using Handle = int;
  static Handle null() noexcept { return -1; }
  static void free(Handle descriptor) noexcept;
};

/// A regular file open for reading at any offset. Plain reads, no mapping: a file that shrinks while it is
/// used is an error with a message, not a signal.
class InputFile {
 public:
  /// Equal for two names of one file.
  struct Identity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    auto operator<=>(Identity const&) const = default;
  };

  /// No file.
  InputFile() = default;
  /// Throws as throw_cannot_open, and DataError for what is not a regular file. Never blocks on a pipe.
  explicit InputFile(std::string const& path);

  /// Bytes, when it was opened.
  [[nodiscard]] std::int64_t size() const noexcept { return size_; }
  [[nodiscard]] Identity identity() const noexcept { return identity_; }

  /// Fills `out` from `offset` on. Throws DataError when the file ends before, IoError when reading fails;
  /// both say `path`.
  void read_at(std::int64_t offset, std::span<std::byte> out, std::string const& path) const;

 private:
  UniqueHandle<DescriptorTraits> descriptor_;
  std::int64_t size_ = 0;
  Identity identity_;
};

}  // namespace tessera::data
