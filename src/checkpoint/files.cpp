// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/checkpoint/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>

#include "tessera/base/error.hpp"
#include "tessera/checkpoint/fault_point.hpp"

namespace tessera::checkpoint {

namespace {

std::string cannot(std::string_view action, std::string const& path, int error_number) {
  return fmt::format("cannot {} {}: {}", action, in_quotes(path),
                     std::generic_category().message(error_number));
}

/// Opens without following a link; throws nothing.
Descriptor open_plainly(std::string const& path, int flags) {
  return Descriptor(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666));
}

void sync_descriptor(int descriptor, std::string_view action, std::string const& path) {
  while (::fsync(descriptor) != 0) {
    if (errno != EINTR) throw_io_error(action, path, errno);
  }
}

std::string parent_of(std::string const& path) {
  auto const parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

void write_new_text(std::string const& path, std::string_view text) {
  Descriptor file = create_file(path);
  fault_point("files.write");
  write_at(file, 0, std::as_bytes(std::span(text)), path);
  fault_point("files.sync");
  sync_file(file, path);
  close_file(std::move(file), path);
}

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

}  // namespace

void DescriptorTraits::free(Handle descriptor) noexcept { ::close(descriptor); }

void throw_io_error(std::string_view action, std::string const& path, int error_number) {
  auto code = ExitCode::io;
  switch (error_number) {
    case EACCES:
    case EPERM: code = ExitCode::permission; break;
    case ENOENT:
    case ENOTDIR:
    case EEXIST:
    case EISDIR:
    case ELOOP:
    case EROFS:
    case ENAMETOOLONG: code = ExitCode::cannot_create; break;
    default: break;
  }
  throw IoError(cannot(action, path, error_number), code);
}

Descriptor open_to_read(std::string const& path) {
  Descriptor file = open_plainly(path, O_RDONLY);
  if (!file) {
    auto const message = cannot("open", path, errno);
    if (errno == ENOENT || errno == ENOTDIR) throw DataError(message, ExitCode::no_input);
    if (errno == EACCES || errno == EPERM) throw DataError(message, ExitCode::permission);
    if (errno == ELOOP) throw DataError(message + " (a symbolic link is not followed)");
    throw IoError(message);
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw_io_error("look at", path, errno);
  if (!S_ISREG(status.st_mode)) throw DataError(fmt::format("{} is not a regular file", in_quotes(path)));
  return file;
}

Descriptor create_file(std::string const& path) {
  Descriptor file = open_plainly(path, O_WRONLY | O_CREAT | O_EXCL);
  if (!file) throw_io_error("create", path, errno);
  return file;
}

std::int64_t file_size(Descriptor const& file, std::string const& path) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw_io_error("look at", path, errno);
  return status.st_size;
}

void read_at(Descriptor const& file, std::int64_t offset, std::span<std::byte> out, std::string const& path) {
  while (!out.empty()) {
    ssize_t const count = ::pread(file.get(), out.data(), out.size(), offset);
    if (count == 0) {
      throw DataError(fmt::format("{} ends at byte {} or before, {} bytes too early", in_quotes(path), offset,
                                  out.size()));
    }
    if (count < 0 && errno != EINTR) throw_io_error("read", path, errno);
    auto const done = static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    out = out.subspan(done);
    offset += static_cast<std::int64_t>(done);
  }
}

void write_at(Descriptor const& file, std::int64_t offset, std::span<std::byte const> bytes,
              std::string const& path) {
  for (std::size_t done = 0; done < bytes.size();) {
    auto const at = offset + static_cast<std::int64_t>(done);
    ssize_t const count = ::pwrite(file.get(), bytes.data() + done, bytes.size() - done, at);
    if (count < 0 && errno != EINTR) throw_io_error("write", path, errno);
    if (count > 0) done += static_cast<std::size_t>(count);
  }
}

void sync_file(Descriptor const& file, std::string const& path) {
  sync_descriptor(file.get(), "bring to the disk", path);
}

void close_file(Descriptor file, std::string const& path) {
  if (::close(file.release()) != 0 && errno != EINTR) throw_io_error("close", path, errno);
}

void sync_directory(std::string const& path) {
  Descriptor const directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) throw_io_error("open directory", path, errno);
  sync_descriptor(directory.get(), "bring to the disk the names in", path);
}

void create_directory(std::string const& path) {
  if (::mkdir(path.c_str(), 0777) != 0) throw_io_error("create directory", path, errno);
}

void rename_path(std::string const& from, std::string const& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    throw_io_error(fmt::format("rename {} to", in_quotes(from)), to, errno);
  }
}

void remove_tree(std::string const& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) throw_io_error("remove", path, error.value());
}

std::vector<std::string> list_directory(std::string const& path) {
  std::unique_ptr<DIR, CloseDirectory> const directory(::opendir(path.c_str()));
  if (!directory) throw_io_error("list directory", path, errno);
  std::vector<std::string> names;
  errno = 0;
  for (dirent const* entry = ::readdir(directory.get()); entry != nullptr;
       entry = ::readdir(directory.get())) {
    std::string_view const name(static_cast<char const*>(entry->d_name));
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) throw_io_error("list directory", path, errno);
  std::ranges::sort(names);
  return names;
}

void write_text_atomically(std::string const& path, std::string_view text) {
  std::string const temporary = path + ".tmp";
  remove_tree(temporary);
  try {
    write_new_text(temporary, text);
    fault_point("files.rename");
    rename_path(temporary, path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  fault_point("files.sync_directory");
  sync_directory(parent_of(path));
}

std::string read_text(std::string const& path, std::size_t max_bytes) {
  Descriptor const file = open_to_read(path);
  auto const size = static_cast<std::size_t>(file_size(file, path));
  if (size > max_bytes) {
    throw DataError(fmt::format("{} has {} bytes, more than {}", in_quotes(path), size, max_bytes));
  }
  std::string text(size, '\0');
  read_at(file, 0, std::as_writable_bytes(std::span(text)), path);
  return text;
}

std::string path_in(std::string const& directory, std::string_view name) {
  return (std::filesystem::path(directory) / name).string();
}

std::string printable(std::string_view from) {
  std::string text;
  for (char const c : from) {
    auto const byte = static_cast<unsigned char>(c);
    if (byte < 32 || byte > 126) {
      text += fmt::format("\\x{:02X}", byte);
    } else {
      text += c;
    }
  }
  return text;
}

std::string in_quotes(std::string_view name) { return "'" + printable(name) + "'"; }

}  // namespace tessera::checkpoint
