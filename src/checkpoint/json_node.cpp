// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/json_node.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "tessera/base/error.hpp"
#include "tessera/checkpoint/files.hpp"

namespace tessera::checkpoint {

namespace {

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t max_values = 100'000;
constexpr std::size_t max_value_bytes = std::size_t{1} << 20;

/// What values count against the bytes of their text, less than any takes in the text of a manifest, so that
/// text made for it cannot ask for more memory than a manifest of its length does.
constexpr std::size_t scalar_cost = 3;
constexpr std::size_t array_cost = 12;
constexpr std::size_t object_cost = 32;

/// Builds a document as the parser goes, and refuses what the library would let pass: a key twice in an
/// object, deep nesting, more values than a manifest of this length has. (The library's own callbacks take
/// time that grows with the square of an array's length.)
class Builder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  using Json = nlohmann::json;

  explicit Builder(std::size_t bytes) : budget_(bytes) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, string_t const& /*text*/) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t& value) override { return add(std::move(value)); }
  bool key(string_t& value) override {
    key_ = std::move(value);
    if (open_.back()->size() == max_values) refuse_number();
    if (open_.back()->contains(key_)) {
      throw DataError(fmt::format("key {} stands twice in one object", in_quotes(key_)));
    }
    return true;
  }
  bool start_object(std::size_t /*elements*/) override { return begin(Json::object(), object_cost); }
  bool start_array(std::size_t /*elements*/) override {
    expect_short_list();
    return begin(Json::array(), array_cost);
  }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }
  bool parse_error(std::size_t /*position*/, std::string const& /*token*/,
                   Json::exception const& error) override {
    throw DataError(fmt::format("not JSON: {}", printable(error.what())));
  }

  Json take() { return std::move(document_); }

 private:
  [[noreturn]] static void refuse_number() {
    throw DataError("more values than a manifest of this length has");
  }

  void pay(std::size_t cost) {
    if (cost > budget_) refuse_number();
    budget_ -= cost;
  }

  /// Of what is not an object, a list holds the numbers of a shape.
  void expect_short_list() const {
    bool const in_list = !open_.empty() && open_.back()->is_array();
    if (in_list && open_.back()->size() > std::size_t{max_ndim}) refuse_number();
  }

  Json* place(Json value) {
    if (open_.empty()) return &(document_ = std::move(value));
    Json& parent = *open_.back();
    if (parent.is_object()) return &(parent[key_] = std::move(value));
    parent.push_back(std::move(value));
    return &parent.back();
  }
  bool add(Json value) {
    pay(scalar_cost);
    expect_short_list();
    return place(std::move(value)) != nullptr;
  }
  bool begin(Json empty, std::size_t cost) {
    pay(cost);
    if (open_.size() == 8) throw DataError("nested deeper than a manifest is");
    open_.push_back(place(std::move(empty)));
    return true;
  }
  bool end() {
    open_.pop_back();
    return true;
  }

  std::size_t budget_;
  Json document_;
  std::vector<Json*>
      open_;  // containers that the parser is in; nothing is added to one while a later one is open
  std::string key_;
};

}  // namespace

nlohmann::json parse_strict_json(std::string_view text, std::string const& name) {
  Builder builder(text.size());
  try {
    nlohmann::json::sax_parse(text, &builder);
  } catch (DataError const& error) {
    throw DataError(fmt::format("{}: {}", in_quotes(name), error.what()));
  }
  return builder.take();
}

void JsonNode::refuse(std::string const& what) const {
  throw DataError(fmt::format("{}: {}: {}", in_quotes(document_), place(), what));
}

JsonNode JsonNode::at(std::string_view key) const {
  auto const found = value_.find(key);
  if (found == value_.end()) refuse(fmt::format("'{}' is missing", key));
  return {*found, *this, key, 0};
}

void JsonNode::expect_keys(std::initializer_list<std::string_view> keys) const {
  if (!value_.is_object()) refuse("expected an object");
  for (auto const& [key, value] : value_.items()) {
    if (std::ranges::find(keys, key) == keys.end()) refuse(fmt::format("unknown key {}", in_quotes(key)));
  }
  for (auto const key : keys) static_cast<void>(at(key));
}

std::size_t JsonNode::size_of_array(std::size_t limit) const {
  if (!value_.is_array()) refuse("expected an array");
  if (value_.size() > limit) refuse(fmt::format("{} entries, at most {}", value_.size(), limit));
  return value_.size();
}

std::int64_t JsonNode::integer(std::int64_t least, std::int64_t greatest) const {
  bool const fits = value_.is_number_integer() &&
                    !(value_.is_number_unsigned() && value_.get<std::uint64_t>() > std::uint64_t{most});
  if (!fits) refuse("expected a whole number below 2^63");
  auto const number = value_.get<std::int64_t>();
  if (number < least || number > greatest) {
    refuse(fmt::format("{} does not lie between {} and {}", number, least, greatest));
  }
  return number;
}

std::string const& JsonNode::text(std::size_t limit) const {
  if (!value_.is_string()) refuse("expected a text");
  auto const& text = value_.get_ref<std::string const&>();
  if (text.size() > limit) refuse(fmt::format("a text of {} bytes, at most {}", text.size(), limit));
  return text;
}

Hash128 JsonNode::hash() const {
  auto const hash = parse_hash(text(max_name_bytes));
  if (!hash) refuse("expected 32 digits of 0-9 and a-f");
  return *hash;
}

std::vector<std::int64_t> JsonNode::integers(std::int64_t least) const {
  std::vector<std::int64_t> numbers(size_of_array(max_ndim));
  for (std::size_t k = 0; k < numbers.size(); ++k) numbers[k] = at(k).integer(least, most);
  return numbers;
}

Values JsonNode::values() const {
  if (!value_.is_object()) refuse("expected an object");
  if (value_.size() > max_values) refuse(fmt::format("{} entries, at most {}", value_.size(), max_values));
  Values values;
  for (auto const& [key, value] : value_.items()) values.emplace(key, at(key).text(max_value_bytes));
  return values;
}

std::string JsonNode::place() const {
  if (parent_ == nullptr) return "the manifest";
  std::string const own = key_.empty() ? fmt::format("[{}]", index_) : in_quotes(key_);
  return parent_->parent_ == nullptr ? own : parent_->place() + (key_.empty() ? "" : " ") + own;
}

}  // namespace tessera::checkpoint
