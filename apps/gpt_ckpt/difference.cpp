// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <type_traits>

#include "commands.hpp"
#include "opened.hpp"
#include "tessera/base/compute_types.hpp"
#include "tessera/checkpoint/files.hpp"

namespace gpt_ckpt {

namespace {

using checkpoint::in_quotes;
using checkpoint::Reader;
using checkpoint::TensorEntry;

constexpr std::int64_t block_bytes = std::int64_t{8} << 20;

/// How the elements of a tensor differ.
struct Difference {
  std::int64_t first = -1;  // of all elements in row-major order; -1: none does
  std::string values;       // there
  std::int64_t count = 0;
  double largest = 0;  // absolute difference; NaN once there is one
};

/// |x - y|, of whole numbers without the rounding of either.
template <class T>
double distance(T x, T y) {
  if constexpr (std::is_integral_v<T>) {
    auto const larger = static_cast<std::uint64_t>(std::max(x, y));
    return static_cast<double>(larger - static_cast<std::uint64_t>(std::min(x, y)));
  } else {
    return std::abs(static_cast<double>(x) - static_cast<double>(y));
  }
}

template <class T>
void compare(std::vector<std::byte> const& a, std::vector<std::byte> const& b, std::int64_t before,
             Difference& difference) {
  for (std::size_t at = 0; at < a.size(); at += sizeof(T)) {
    if (std::memcmp(&a[at], &b[at], sizeof(T)) == 0) continue;
    T x{};
    T y{};
    std::memcpy(&x, &a[at], sizeof(T));
    std::memcpy(&y, &b[at], sizeof(T));
    if (difference.count++ == 0) {
      difference.first = before + static_cast<std::int64_t>(at / sizeof(T));
      difference.values =
          fmt::format("{} | {}", static_cast<tessera::Wide<T>>(x), static_cast<tessera::Wide<T>>(y));
    }
    double const apart = distance(x, y);
    if (!(apart <= difference.largest)) difference.largest = apart;
  }
}

void compare(tessera::DType dtype, std::vector<std::byte> const& a, std::vector<std::byte> const& b,
             std::int64_t before, Difference& difference) {
  using tessera::DType;
  switch (dtype) {
    case DType::u8: return compare<std::uint8_t>(a, b, before, difference);
    case DType::i32: return compare<std::int32_t>(a, b, before, difference);
    case DType::i64: return compare<std::int64_t>(a, b, before, difference);
    case DType::u64: return compare<std::uint64_t>(a, b, before, difference);
    case DType::f32: return compare<float>(a, b, before, difference);
    case DType::f64: return compare<double>(a, b, before, difference);
    case DType::bf16: return compare<tessera::bf16>(a, b, before, difference);
    case DType::f16: return compare<tessera::f16>(a, b, before, difference);
  }
}

Difference compare_tensor(Reader const& a, Reader const& b, TensorEntry const& tensor) {
  Difference difference;
  for_each_block(tensor, block_bytes, [&](checkpoint::Piece const& piece) {
    compare(tensor.dtype, read(a, tensor, piece.box), read(b, tensor, piece.box), piece.position, difference);
  });
  return difference;
}

/// "[1, 2]": where the element with this number is.
std::string place(std::vector<std::int64_t> const& shape, std::int64_t number) {
  std::vector<std::int64_t> index(shape.size());
  for (std::size_t dim = shape.size(); dim-- > 0; number /= shape[dim]) index[dim] = number % shape[dim];
  auto text = shape_text(index);
  text.front() = '[';
  text.back() = ']';
  return text;
}

/// Prints what differs by name; returns whether anything does.
bool values_differ(char const* what, checkpoint::Values const& a, checkpoint::Values const& b) {
  std::set<std::string> names;
  for (auto const& [name, value] : a) names.insert(name);
  for (auto const& [name, value] : b) names.insert(name);
  auto const text = [](checkpoint::Values const& values, std::string const& name) {
    auto const found = values.find(name);
    return found == values.end() ? "(none)" : in_quotes(found->second);
  };
  bool differ = false;
  for (auto const& name : names) {
    if (text(a, name) == text(b, name)) continue;
    fmt::print("{} {}: {} | {}\n", what, in_quotes(name), text(a, name), text(b, name));
    differ = true;
  }
  return differ;
}

using Entries = std::map<std::string_view, TensorEntry const*>;

Entries entries(Reader const& reader) {
  Entries tensors;
  for (auto const& [tensor, shards] : reader.manifest().tensors) tensors.emplace(tensor.name, &tensor);
  return tensors;
}

/// "f32 (3, 4)", or "(none)".
std::string describe(Entries const& tensors, std::string_view name) {
  auto const found = tensors.find(name);
  if (found == tensors.end()) return "(none)";
  return fmt::format("{} {}", to_string(found->second->dtype), shape_text(found->second->shape));
}

/// Prints a line when the elements of a tensor of both differ; returns whether they do.
bool elements_differ(Reader const& a, Reader const& b, TensorEntry const& tensor) {
  auto const difference = compare_tensor(a, b, tensor);
  if (difference.first < 0) return false;
  fmt::print("{} {}: first at {}: {}; {} of {} elements, by {} at most\n", tensor.name,
             shape_text(tensor.shape), place(tensor.shape, difference.first), difference.values,
             difference.count, element_count(checkpoint::whole(tensor.shape)), difference.largest);
  return true;
}

/// Prints a line for each tensor that differs, by its type, its shape, its elements or in being there at all;
/// returns how many do.
int tensors_differ(Reader const& a, Reader const& b) {
  auto const of_a = entries(a);
  auto const of_b = entries(b);
  auto all = of_a;
  all.insert(of_b.begin(), of_b.end());
  int differing = 0;
  for (auto const& [name, tensor] : all) {
    auto const first = describe(of_a, name);
    auto const second = describe(of_b, name);
    if (first != second) fmt::print("{}: {} | {}\n", name, first, second);
    if (first != second || elements_differ(a, b, *tensor)) ++differing;
  }
  return differing;
}

std::string conclusion(bool same, bool config_differs, int tensors_differ) {
  if (!same)
    return fmt::format("{} tensor{} differ{}.", tensors_differ, tensors_differ == 1 ? "" : "s",
                       tensors_differ == 1 ? "s" : "");
  return config_differs ? "Tensors and state are the same, bit for bit; the configuration is not."
                        : "The same, bit for bit.";
}

}  // namespace

int diff(std::string const& a, std::string const& b) {
  auto const first = open(a);
  auto const second = open(b);
  fmt::print("{} | {}\n", first.directory(), second.directory());
  bool const config = values_differ("config", first.manifest().config, second.manifest().config);
  bool const state = values_differ("state", first.manifest().state, second.manifest().state);
  int const differing = tensors_differ(first, second);
  bool const same = !state && differing == 0;
  fmt::print("{}\n", conclusion(same, config, differing));
  return same ? 0 : 1;
}

}  // namespace gpt_ckpt
