// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/checkpoint/box.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "checkpoint/join.hpp"
#include "checkpoint/stream_copy.hpp"
#include "tessera/base/error.hpp"

namespace tessera::checkpoint {

namespace {

using Index = std::array<std::int64_t, max_ndim>;

/// Steps `index` to the next place of the first `dims` dims of a box in row-major order; false at its end.
bool next_place(Index& index, std::size_t dims, std::span<std::int64_t const> extent) {
  for (std::size_t dim = dims; dim-- > 0;) {
    if (++index[dim] < extent[dim]) return true;
    index[dim] = 0;
  }
  return false;
}

template <class Byte>
Byte* place_of(BasicBoxMemory<Byte> const& memory, Box const& what, std::size_t element_bytes) {
  std::int64_t elements = 0;
  for (std::size_t dim = 0; dim < what.offset.size(); ++dim) {
    elements += (what.offset[dim] - memory.box.offset[dim]) * memory.strides[dim];
  }
  return memory.data + elements * static_cast<std::int64_t>(element_bytes);
}

void plain_copy(std::byte* to, std::byte const* from, std::size_t bytes) noexcept {
  std::memcpy(to, from, bytes);
}

}  // namespace

Box whole(std::span<std::int64_t const> shape) {
  return {std::vector<std::int64_t>(shape.size(), 0), {shape.begin(), shape.end()}};
}

std::optional<std::int64_t> checked_count(std::span<std::int64_t const> extents) noexcept {
  std::int64_t count = 1;
  for (auto const extent : extents) {
    if (extent < 1 || __builtin_mul_overflow(count, extent, &count)) return std::nullopt;
  }
  return count;
}

std::int64_t element_count(Box const& box) noexcept { return checked_count(box.extent).value_or(0); }

std::optional<Box> intersection(Box const& a, Box const& b) {
  Box both = a;
  for (std::size_t dim = 0; dim < a.offset.size(); ++dim) {
    std::int64_t const end = std::min(a.offset[dim] + a.extent[dim], b.offset[dim] + b.extent[dim]);
    both.offset[dim] = std::max(a.offset[dim], b.offset[dim]);
    both.extent[dim] = end - both.offset[dim];
    if (both.extent[dim] <= 0) return std::nullopt;
  }
  return both;
}

std::string to_string(Box const& box) {
  std::string text;
  for (std::size_t dim = 0; dim < box.offset.size(); ++dim) {
    text += fmt::format("{}{}:{}", dim == 0 ? "" : ", ", box.offset[dim], box.offset[dim] + box.extent[dim]);
  }
  return "[" + text + "]";
}

std::optional<std::string> problem_of_shape(std::span<std::int64_t const> shape) {
  if (shape.empty() || shape.size() > max_ndim) {
    return fmt::format("{} dims, expected 1 to {}", shape.size(), max_ndim);
  }
  if (std::ranges::any_of(shape, [](auto extent) { return extent < 1; })) {
    return fmt::format("shape [{}] has an extent below 1", join(shape));
  }
  if (!checked_count(shape)) {
    return fmt::format("shape [{}] has 2^63 elements or more", join(shape));
  }
  return std::nullopt;
}

std::optional<std::string> problem_of_box(std::span<std::int64_t const> shape, Box const& box) {
  if (box.offset.size() != shape.size() || box.extent.size() != shape.size()) {
    return fmt::format("offset of {} dims and extent of {} dims in a tensor of {}", box.offset.size(),
                       box.extent.size(), shape.size());
  }
  for (std::size_t dim = 0; dim < shape.size(); ++dim) {
    auto const offset = box.offset[dim];
    auto const extent = box.extent[dim];
    if (offset < 0 || extent < 1 || offset >= shape[dim] || extent > shape[dim] - offset) {
      return fmt::format("offset {} and extent {} of dim {} do not lie in 0:{}", offset, extent, dim,
                         shape[dim]);
    }
  }
  return std::nullopt;
}

std::vector<std::int64_t> row_major_strides(std::span<std::int64_t const> extent) {
  std::vector<std::int64_t> strides(extent.size(), 1);
  for (std::size_t dim = extent.size(); dim-- > 1;) strides[dim - 1] = strides[dim] * extent[dim];
  return strides;
}

BoxMemory row_major(std::byte* data, Box box) {
  auto strides = row_major_strides(box.extent);
  return {data, std::move(box), std::move(strides)};
}

ConstBoxMemory row_major(std::byte const* data, Box box) {
  auto strides = row_major_strides(box.extent);
  return {data, std::move(box), std::move(strides)};
}

void copy_box(BoxMemory const& to, ConstBoxMemory const& from, Box const& what, std::size_t element_bytes,
              Caches caches) {
  std::size_t outer = what.extent.size();
  std::int64_t run = 1;  // elements that are neighbours in both memories
  while (outer > 0) {
    std::size_t const dim = outer - 1;
    bool const neighbours = to.strides[dim] == run && from.strides[dim] == run;
    if (!neighbours && what.extent[dim] != 1) break;
    run *= what.extent[dim];
    outer = dim;
  }
  auto const copy = caches == Caches::keep ? &plain_copy : &stream_copy;
  std::byte* const to_first = place_of(to, what, element_bytes);
  std::byte const* const from_first = place_of(from, what, element_bytes);
  Index index{};
  do {
    std::int64_t to_elements = 0;
    std::int64_t from_elements = 0;
    for (std::size_t dim = 0; dim < outer; ++dim) {
      to_elements += index[dim] * to.strides[dim];
      from_elements += index[dim] * from.strides[dim];
    }
    auto const bytes = static_cast<std::int64_t>(element_bytes);
    copy(to_first + to_elements * bytes, from_first + from_elements * bytes,
         static_cast<std::size_t>(run * bytes));
  } while (next_place(index, outer, what.extent));
  if (caches == Caches::pass_by) end_of_streaming();
}

void for_each_piece(Box const& container, Box const& what, std::int64_t max_span, std::int64_t max_gap,
                    std::function<void(Piece const&)> const& visit) {
  require(max_span >= 1, "a piece has room for an element");
  auto const strides = row_major_strides(container.extent);
  std::int64_t span = 1;  // of the dims behind `cut`, which stay whole
  std::size_t cut = what.extent.size();
  auto const most = [&](std::size_t dim) -> std::int64_t {
    if (strides[dim] - span > max_gap) return 1;
    return std::min(what.extent[dim], (max_span - span) / strides[dim] + 1);
  };
  while (cut > 1 && most(cut - 1) == what.extent[cut - 1]) {
    --cut;
    span += (what.extent[cut] - 1) * strides[cut];
  }
  --cut;
  std::int64_t const rows = most(cut);
  Index index{};
  do {
    for (std::int64_t row = 0; row < what.extent[cut]; row += rows) {
      Piece piece{what, 0, 0};
      for (std::size_t dim = 0; dim < cut; ++dim) {
        piece.box.offset[dim] += index[dim];
        piece.box.extent[dim] = 1;
      }
      piece.box.offset[cut] += row;
      piece.box.extent[cut] = std::min(rows, what.extent[cut] - row);
      piece.span = span + (piece.box.extent[cut] - 1) * strides[cut];
      for (std::size_t dim = 0; dim < strides.size(); ++dim) {
        piece.position += (piece.box.offset[dim] - container.offset[dim]) * strides[dim];
      }
      visit(piece);
    }
  } while (next_place(index, cut, what.extent));
}

}  // namespace tessera::checkpoint
