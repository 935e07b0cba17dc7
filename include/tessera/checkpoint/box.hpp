// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Boxes: parts of a tensor in global coordinates. A checkpoint knows of a tensor only its shape and the boxes
// that lie in files; who computed them, and how many tiles or ranks there were, is nowhere in it.
//
//   shape (4, 6)      box {offset (1, 2), extent (2, 3)}
//     . . . . . .
//     . . # # # .     Extents are at least 1. Row-major: the last dim is the one whose elements are
//     neighbours. . . # # # . . . . . . .
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tessera::checkpoint {

/// The most dims that a tensor may have; the least is 1.
inline constexpr int max_ndim = 8;

struct Box {
  std::vector<std::int64_t> offset;
  std::vector<std::int64_t> extent;
  bool operator==(Box const&) const = default;
};

/// The box of everything: offset 0, extent `shape`.
[[nodiscard]] Box whole(std::span<std::int64_t const> shape);

/// The product of `extents`; nothing when one is below 1 or when the product is 2^63 or more.
[[nodiscard]] std::optional<std::int64_t> checked_count(std::span<std::int64_t const> extents) noexcept;

/// Elements of a box that has been checked.
[[nodiscard]] std::int64_t element_count(Box const& box) noexcept;

/// What both boxes have; nothing when that is empty. Both have the same number of dims.
[[nodiscard]] std::optional<Box> intersection(Box const& a, Box const& b);

/// "[0:2, 3:6]", half-open, as in Python.
[[nodiscard]] std::string to_string(Box const& box);

/// What is wrong with a shape of a tensor (number of dims, an extent below 1, 2^63 elements or more); nothing
/// when it is in order.
[[nodiscard]] std::optional<std::string> problem_of_shape(std::span<std::int64_t const> shape);

/// What is wrong with a box of a tensor of a shape that is in order: dims, negative offset, extent below 1,
/// reaching outside. No sum of it overflows.
[[nodiscard]] std::optional<std::string> problem_of_box(std::span<std::int64_t const> shape, Box const& box);

/// Nothing when `boxes` cover a tensor of this shape exactly once; else what is wrong, naming an element that
/// lies in none or in several boxes.
///
/// How: the indicator function of a box is determined by its signed corners (its difference along every dim),
/// and differences are linear. So the boxes cover the tensor once exactly if all their corners, with signs,
/// add up to the corners of the whole; and the first corner in row-major order where they do not is an
/// element that is covered wrongly. No pair of boxes is compared: n boxes take O(n log n) time and 16 n 2^k
/// bytes, where k counts the dims that are cut; more than 2^24 corners are refused.
[[nodiscard]] std::optional<std::string> problem_of_cover(std::span<std::int64_t const> shape,
                                                          std::span<Box const> boxes);

/// Memory that holds a box of a tensor: element (i...) of the tensor lies at data[(i - box.offset) .
/// strides], counted in elements. The owner of the memory is someone else.
template <class Byte>
struct BasicBoxMemory {
  Byte* data = nullptr;
  Box box;
  std::vector<std::int64_t> strides;
};
using BoxMemory = BasicBoxMemory<std::byte>;
using ConstBoxMemory = BasicBoxMemory<std::byte const>;

/// Strides, in elements, of a box stored densely, last dim fastest.
[[nodiscard]] std::vector<std::int64_t> row_major_strides(std::span<std::int64_t const> extent);

/// A box stored densely, last dim fastest.
[[nodiscard]] BoxMemory row_major(std::byte* data, Box box);
[[nodiscard]] ConstBoxMemory row_major(std::byte const* data, Box box);

/// Whether a copy leaves what it writes in the caches, or passes them by where the processor can: for large
/// copies that are not read again soon.
enum class Caches { keep, pass_by };

/// Copies the elements of `what`, which lies in both boxes, from one memory into the other, which do not
/// overlap. Elements that are neighbours in both are moved together.
void copy_box(BoxMemory const& to, ConstBoxMemory const& from, Box const& what, std::size_t element_bytes,
              Caches caches = Caches::keep);

/// A piece of a box that lies in memory or in a file with the strides of a larger one.
struct Piece {
  Box box;
  std::int64_t position = 0;  ///< of its first element, in elements from the first element of the larger box
  std::int64_t span = 0;      ///< elements from its first to its last one, both included, gaps counted
};

/// Cuts `what`, which lies in a densely stored `container`, into pieces in the order of their positions, such
/// that no piece spans more than `max_span` elements nor skips more than `max_gap` elements at once. So each
/// piece can be fetched by one read of `span` elements into a buffer of that size.
void for_each_piece(Box const& container, Box const& what, std::int64_t max_span, std::int64_t max_gap,
                    std::function<void(Piece const&)> const& visit);

}  // namespace tessera::checkpoint
