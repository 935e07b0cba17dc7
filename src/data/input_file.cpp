// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "data/input_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "tessera/base/error.hpp"
#include "tessera/data/tokenizer.hpp"

namespace tessera::data {

namespace {

std::string system_text(int error_number) { return std::generic_category().message(error_number); }

struct stat status_of(int descriptor, std::string const& path) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) throw_cannot_open(path, errno);
  return status;
}

}  // namespace

std::string in_quotes(std::string_view path) {
  std::string text = "'";
  for (char const c : printable(path)) {
    if (c == '\n' || c == '\t') {
      text += c == '\n' ? "\\x0A" : "\\x09";
    } else {
      text += c;
    }
  }
  return text + "'";
}

void throw_cannot_open(std::string const& path, int error_number) {
  std::string const message =
      fmt::format("cannot open data {}: {}", in_quotes(path), system_text(error_number));
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      throw DataError(message + ": give a file, a directory of files, or a quoted pattern",
                      ExitCode::no_input);
    case EACCES:
    case EPERM: throw DataError(message + ": ask its owner for permission to read it", ExitCode::permission);
    default: throw IoError(message);
  }
}

void DescriptorTraits::free(Handle descriptor) noexcept { ::close(descriptor); }

InputFile::InputFile(std::string const& path)
    : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (!descriptor_) throw_cannot_open(path, errno);
  struct stat const status = status_of(descriptor_.get(), path);
  if (!S_ISREG(status.st_mode)) {
    throw DataError(fmt::format(
        "data {} is not a regular file: pipes and devices cannot be read at any place", in_quotes(path)));
  }
  size_ = status.st_size;
  identity_ = {status.st_dev, status.st_ino};
}

void InputFile::read_at(std::int64_t offset, std::span<std::byte> out, std::string const& path) const {
  while (!out.empty()) {
    ssize_t const count = ::pread(descriptor_.get(), out.data(), out.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      throw IoError(fmt::format("reading {} bytes at offset {} of {} failed: {}", out.size(), offset,
                                in_quotes(path), system_text(errno)));
    }
    if (count == 0) {
      throw DataError(
          fmt::format("{} ended at byte {} or before but had {} bytes when it was opened: data must "
                      "not change while a run uses it",
                      in_quotes(path), offset, size_));
    }
    out = out.subspan(static_cast<std::size_t>(count));
    offset += count;
  }
}

}  // namespace tessera::data
