// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Data files for tests, and what the tests ask about failures.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "support/failure.hpp"
#include "tessera/base/error.hpp"
#include "tessera/data/token_source.hpp"

namespace tessera::data::test {

static_assert(std::endian::native == std::endian::little, "the files are written as they lie in memory");

/// A folder that goes away with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "tessera-data-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder " + name);
    path_ = name;
  }
  TemporaryFolder(TemporaryFolder const&) = delete;
  TemporaryFolder& operator=(TemporaryFolder const&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }

  [[nodiscard]] std::string path(std::string const& name = "") const {
    return name.empty() ? path_.string() : (path_ / name).string();
  }

  /// Writes a file, and the folders it lies in, and returns its path.
  std::string write(std::string const& name, std::string_view content) const {
    std::filesystem::path const file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
    return file.string();
  }

 private:
  std::filesystem::path path_;
};

/// The memory of numbers as the content of a file.
template <class T>
std::string raw(std::vector<T> const& numbers) {
  return {reinterpret_cast<char const*>(numbers.data()), numbers.size() * sizeof(T)};
}

/// 0, 1, 2 ... as ids.
template <class T>
std::vector<T> counting(std::size_t count, T first = 0) {
  std::vector<T> ids(count);
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

/// A shard of llm.c with a header that claims what it is told to.
inline std::string llmc(std::int32_t magic, std::int32_t version, std::int32_t tokens,
                        std::string const& body) {
  std::vector<std::int32_t> header(256);
  header[0] = magic;
  header[1] = version;
  header[2] = tokens;
  return raw(header) + body;
}
template <class T>
std::string llmc(std::vector<T> const& ids) {
  auto const tokens = static_cast<std::int32_t>(ids.size());
  return sizeof(T) == 2 ? llmc(20240520, 1, tokens, raw(ids)) : llmc(20240801, 7, tokens, raw(ids));
}

/// All tokens of a source.
inline std::vector<std::int32_t> all_tokens(TokenSource const& source) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(source.size()));
  source.read(0, tokens);
  return tokens;
}

/// The ids of `text` as bytes.
inline std::vector<std::int32_t> bytes(std::string_view text) {
  std::vector<std::int32_t> ids;
  for (char const c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

using support::expect_failure;

}  // namespace tessera::data::test
