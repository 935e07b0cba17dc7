// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Values of options: from text, into the configuration, and back to TOML.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <type_traits>

#include "options.hpp"

namespace gpt_train {

namespace {

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  if (text.starts_with('+')) text.remove_prefix(1);
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Value> parse_as(bool*, std::string const& text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}
std::optional<Value> parse_as(std::int64_t*, std::string const& text) { return number<std::int64_t>(text); }
std::optional<Value> parse_as(int*, std::string const& text) { return number<std::int64_t>(text); }
std::optional<Value> parse_as(double*, std::string const& text) { return number<double>(text); }
std::optional<Value> parse_as(std::string*, std::string const& text) { return text; }
std::optional<Value> parse_as(std::vector<std::int64_t>*, std::string const& text) {
  std::vector<std::int64_t> list;
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t const end = std::min(text.find(',', begin), text.size());
    auto const element = number<std::int64_t>(std::string_view(text).substr(begin, end - begin));
    if (!element) return std::nullopt;
    list.push_back(*element);
    begin = end + 1;
  }
  return list;
}

std::string bracketed(std::vector<std::int64_t> const& list) {
  std::string text = "[";
  for (std::int64_t const element : list) text += fmt::format("{}{}", text.size() > 1 ? ", " : "", element);
  return text + "]";
}

/// How a value reads in a message.
std::string shown(Value const& value) {
  return std::visit(
      [](auto const& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string>) {
          return fmt::format("the string \"{}\"", v);
        } else if constexpr (std::is_same_v<T, std::vector<std::int64_t>>) {
          return "the list " + bracketed(v);
        } else {
          return fmt::format("{}", v);
        }
      },
      value);
}

std::string quoted(std::string const& text) {
  std::string out = "\"";
  for (char const c : text) {
    auto const code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (code < 0x20 || code == 0x7f) {
      out += fmt::format("\\u{:04X}", code);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string toml_of(bool value) { return value ? "true" : "false"; }
std::string toml_of(int value) { return fmt::format("{}", value); }
std::string toml_of(std::int64_t value) { return fmt::format("{}", value); }
std::string toml_of(double value) {
  std::string const text = fmt::format("{}", value);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}
std::string toml_of(std::string const& value) { return quoted(value); }
std::string toml_of(std::vector<std::int64_t> const& value) { return bracketed(value); }

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      std::size_t const above = row[j + 1];
      row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row.back();
}

/// What its numbers 0, -1, ... may be written as.
std::vector<std::string_view> words_of(Option const& option) {
  std::vector<std::string_view> words;
  for (auto rest = option.words; !rest.empty();) {
    auto const end = std::min(rest.find(','), rest.size());
    words.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return words;
}

/// The number that one of these words stands for.
std::optional<std::int64_t> number_of(Option const& option, std::string_view word) {
  auto const words = words_of(option);
  auto const found = std::ranges::find(words, word);
  return found != words.end() ? std::optional(words.begin() - found) : std::nullopt;
}

}  // namespace

std::string type_name(Option const& option) {
  std::string result = "an integer";
  auto const words = words_of(option);
  for (auto const word : words) result += fmt::format("{} {}", word == words.back() ? " or" : ",", word);
  if (!words.empty()) return result;
  constexpr std::string_view names[] = {"true or false", "an integer", "an integer",
                                        "a number",      "a string",   "a list of integers"};
  return std::string(names[option.field.index()]);
}

std::optional<Value> parse(Option const& option, std::string const& text) {
  if (auto const number = number_of(option, text)) return *number;
  return std::visit([&]<class T>(Accessor<T>) { return parse_as(static_cast<T*>(nullptr), text); },
                    option.field);
}

std::optional<std::string> assign(RunConfig& config, Option const& option, Value const& given) {
  auto const* const word = std::get_if<std::string>(&given);
  auto const number = word != nullptr ? number_of(option, *word) : std::nullopt;
  Value const value = number ? Value(*number) : given;
  auto const store = [&]<class T>(Accessor<T> field) -> std::optional<std::string> {
    if constexpr (std::is_same_v<T, double>) {
      auto const* const integer = std::get_if<std::int64_t>(&value);
      auto const* const real = std::get_if<double>(&value);
      if (integer == nullptr && real == nullptr) return "";
      double const number = real != nullptr ? *real : static_cast<double>(*integer);
      if (!std::isfinite(number)) return " that is finite";
      field(config) = number;
    } else if constexpr (std::is_same_v<T, int>) {
      auto const* const integer = std::get_if<std::int64_t>(&value);
      if (integer == nullptr) return "";
      using Limits = std::numeric_limits<int>;
      if (*integer < Limits::min() || *integer > Limits::max()) return " that fits 32 bits";
      field(config) = static_cast<int>(*integer);
    } else {
      auto const* const same = std::get_if<T>(&value);
      if (same == nullptr) return "";
      field(config) = *same;
    }
    return std::nullopt;
  };
  auto const but = std::visit(store, option.field);
  if (!but) return std::nullopt;
  return fmt::format("{} must be {}{}, not {}", option.name(), type_name(option), *but, shown(value));
}

std::string to_toml(RunConfig const& config, Option const& option) {
  RunConfig copy = config;
  auto const text = std::visit([&](auto field) { return toml_of(field(copy)); }, option.field);
  for (auto const word : words_of(option)) {
    if (text == fmt::format("{}", number_of(option, word).value())) return fmt::format("\"{}\"", word);
  }
  return text;
}

namespace {

/// The shortest of the names that `fits` says yes to; empty where there is none.
template <class Fits>
std::string shortest(std::span<std::string const> names, Fits const& fits) {
  std::string best;
  for (std::string const& name : names) {
    if (fits(name) && (best.empty() || name.size() < best.size())) best = name;
  }
  return best;
}

/// The name with the fewest letters to change, if these are a third of `wrong` at most.
std::string fewest_changes(std::string const& wrong, std::size_t letters,
                           std::span<std::string const> names) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(1, (letters + 1) / 3) + 1;
  for (std::string const& name : names) {
    std::size_t const distance = edit_distance(wrong, name);
    if (distance >= best_distance) continue;
    best_distance = distance;
    best = name;
  }
  return best;
}

}  // namespace

std::string nearest_name(std::string_view given, std::span<std::string const> names) {
  std::string wrong(given);
  std::ranges::transform(wrong, wrong.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::size_t const dashes = std::min(wrong.find_first_not_of('-'), wrong.size());
  std::string const word = wrong.substr(dashes);
  if (word.size() >= 3) {
    auto const begun = shortest(names, [&](auto const& name) { return name.starts_with(wrong); });
    if (!begun.empty()) return begun;
  }
  auto const misspelt = fewest_changes(wrong, word.size(), names);
  if (!misspelt.empty() || word.size() < 3) return misspelt;
  return shortest(names, [&](auto const& name) {
    return ("-" + name + "-").find("-" + word + "-") != std::string::npos;
  });
}

}  // namespace gpt_train
