// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/checkpoint/tensor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "tessera/checkpoint/files.hpp"
#include "tessera/checkpoint/manifest.hpp"

namespace tessera::checkpoint {

namespace {

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_plain(std::string_view text, std::string_view beside) {
  return std::ranges::all_of(
      text, [&](char c) { return is_letter_or_digit(c) || beside.find(c) != std::string_view::npos; });
}

}  // namespace

std::optional<std::string> problem_of_name(std::string_view name) {
  if (name.size() > max_name_bytes) {
    return fmt::format("a name of {} characters, at most {}", name.size(), max_name_bytes);
  }
  if (!is_plain(name, "_.-:/")) {
    return fmt::format("name {} has other characters than letters, digits and _ . - : /", in_quotes(name));
  }
  for (std::string_view rest = name;;) {
    auto const part = rest.substr(0, rest.find('/'));
    if (part.empty() || part == "." || part == "..") {
      return fmt::format("name {} has an empty part, or one of dots", in_quotes(name));
    }
    if (part.size() == rest.size()) return std::nullopt;
    rest.remove_prefix(part.size() + 1);
  }
}

std::optional<std::string> problem_of_tensor(TensorEntry const& tensor) {
  if (auto problem = problem_of_name(tensor.name)) return problem;
  auto problem = problem_of_shape(tensor.shape);
  if (!problem && *checked_count(tensor.shape) > INT64_MAX / 8) return "2^60 elements or more";
  return problem;
}

std::string dataset_name(std::string_view tensor, std::size_t number) {
  return number == 0 ? std::string(tensor) : fmt::format("{}#{}", tensor, number);
}

bool is_dataset_of(std::string_view dataset, std::string_view tensor) {
  if (!dataset.starts_with(tensor)) return false;
  std::size_t number = 0;
  if (dataset.size() > tensor.size() + 1) {
    std::from_chars(dataset.data() + tensor.size() + 1, dataset.data() + dataset.size(), number);
  }
  return dataset == dataset_name(tensor, number);
}

std::optional<DType> parse_dtype(std::string_view text) {
  for (auto const type :
       {DType::u8, DType::i32, DType::i64, DType::u64, DType::f32, DType::f64, DType::bf16, DType::f16}) {
    if (text == to_string(type)) return type;
  }
  return std::nullopt;
}

std::optional<std::string> problem_of_file_name(std::string_view name) {
  if (name.empty() || name.size() > 255 || name.front() == '.' || name.find("..") != std::string_view::npos ||
      !is_plain(name, "_.-")) {
    return fmt::format("file name {} is not a bare name of letters, digits and _ . -",
                       in_quotes(name.substr(0, 255)));
  }
  if (name == manifest_name) return "the manifest cannot be among its own files";
  return std::nullopt;
}

}  // namespace tessera::checkpoint
