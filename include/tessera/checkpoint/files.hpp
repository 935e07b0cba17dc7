// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The few things that a checkpoint asks of a file system, each with one clear error. Functions throw IoError
// (code io; permission or cannot_create where that is what it means) with the path and the system's own text.
// Symbolic links as the last part of a path are never followed. Nothing here is collective.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tessera/base/unique_handle.hpp"

namespace tessera::checkpoint {

struct DescriptorTraits {
  using Handle = int;
  static Handle null() noexcept { return -1; }
  static void free(Handle descriptor) noexcept;
};
/// An open file; closed without a word when it is dropped (close_file tells of errors).
using Descriptor = UniqueHandle<DescriptorTraits>;

/// Throws IoError "cannot ACTION 'PATH': TEXT OF THE SYSTEM".
[[noreturn]] void throw_io_error(std::string_view action, std::string const& path, int error_number);

/// Opens a regular file for reading; never waits on a pipe. Throws DataError with code no_input or
/// permission, and for what is not a regular file.
[[nodiscard]] Descriptor open_to_read(std::string const& path);
/// Creates a file that must not exist.
[[nodiscard]] Descriptor create_file(std::string const& path);

[[nodiscard]] std::int64_t file_size(Descriptor const& file, std::string const& path);
/// Fills `out` from `offset` on. Throws DataError when the file ends before.
void read_at(Descriptor const& file, std::int64_t offset, std::span<std::byte> out, std::string const& path);
void write_at(Descriptor const& file, std::int64_t offset, std::span<std::byte const> bytes,
              std::string const& path);
/// Returns when what was written is on the disk.
void sync_file(Descriptor const& file, std::string const& path);
/// Closes; a file system that notices only now that it has no room says so here.
void close_file(Descriptor file, std::string const& path);

/// Returns when names made, renamed or removed in a directory are on the disk.
void sync_directory(std::string const& path);
/// Makes a directory; an existing one is an error.
void create_directory(std::string const& path);
/// Renames at once; replaces a file, or an empty directory.
void rename_path(std::string const& from, std::string const& to);
/// Removes a file or a directory with all it holds; links in it are removed, not followed. Nothing there is
/// no error.
void remove_tree(std::string const& path);
/// The names in a directory, sorted, without "." and "..".
[[nodiscard]] std::vector<std::string> list_directory(std::string const& path);

/// Writes `path`.tmp, syncs it, renames it to `path` and syncs the directory: after a crash at any moment
/// either the old file is there or the new one, whole. A failure removes the temporary file.
void write_text_atomically(std::string const& path, std::string_view text);
/// The whole file. Throws DataError, without reading, when it has more than `max_bytes`.
[[nodiscard]] std::string read_text(std::string const& path, std::size_t max_bytes);

/// `directory`/`name`.
[[nodiscard]] std::string path_in(std::string const& directory, std::string_view name);
/// Text of others for messages; control characters and bytes above 126 as \x41.
[[nodiscard]] std::string printable(std::string_view from);
/// A name in quotes for messages, printable.
[[nodiscard]] std::string in_quotes(std::string_view name);

}  // namespace tessera::checkpoint
