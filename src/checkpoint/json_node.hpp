// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tessera/checkpoint/hash.hpp"
#include "tessera/checkpoint/manifest.hpp"

namespace tessera::checkpoint {

/// Parses JSON more strictly than the library does: no key twice in an object, no deep nesting. Throws
/// DataError that begins with `name`.
nlohmann::json parse_strict_json(std::string_view text, std::string const& name);

/// A value of a document and how it is reached, for messages. Lives shorter than its parent. What is asked
/// for and not there is thrown as DataError.
class JsonNode {
 public:
  JsonNode(nlohmann::json const& value, std::string const& document) : value_(value), document_(document) {}

  [[noreturn]] void refuse(std::string const& what) const;
  void refuse_if(std::optional<std::string> const& problem) const {
    if (problem) refuse(*problem);
  }

  [[nodiscard]] JsonNode at(std::string_view key) const;
  [[nodiscard]] JsonNode at(std::size_t index) const { return {value_[index], *this, {}, index}; }

  /// An object with these keys and no others.
  void expect_keys(std::initializer_list<std::string_view> keys) const;
  [[nodiscard]] std::size_t size_of_array(std::size_t limit) const;
  [[nodiscard]] std::int64_t integer(std::int64_t least, std::int64_t greatest) const;
  /// At most 8, each at least `least`.
  [[nodiscard]] std::vector<std::int64_t> integers(std::int64_t least) const;
  [[nodiscard]] std::string const& text(std::size_t limit) const;
  [[nodiscard]] Hash128 hash() const;
  /// An object of texts.
  [[nodiscard]] Values values() const;

 private:
  JsonNode(nlohmann::json const& value, JsonNode const& parent, std::string_view key, std::size_t index)
      : value_(value), document_(parent.document_), parent_(&parent), key_(key), index_(index) {}

  [[nodiscard]] std::string place() const;

  nlohmann::json const& value_;
  std::string const& document_;
  JsonNode const* parent_ = nullptr;
  std::string_view key_;
  std::size_t index_ = 0;
};

}  // namespace tessera::checkpoint
