// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "checkpoint/join.hpp"
#include "tessera/checkpoint/box.hpp"

namespace tessera::checkpoint {

namespace {

__extension__ using Key = unsigned __int128;  // (extent + 1) of 8 dims and a sign: at most 72 bits

/// The dims in which at least one box does not reach from end to end.
std::vector<std::size_t> cut_dims(std::span<std::int64_t const> shape, std::span<Box const> boxes) {
  std::vector<std::size_t> dims;
  for (std::size_t dim = 0; dim < shape.size(); ++dim) {
    bool const cut =
        std::ranges::any_of(boxes, [&](Box const& box) { return box.extent[dim] != shape[dim]; });
    if (cut) dims.push_back(dim);
  }
  return dims;
}

/// The signed corners of boxes: row-major number of the corner in a grid of shape + 1, times 2, plus 1 where
/// the sign is negative.
class Corners {
 public:
  Corners(std::span<std::int64_t const> shape, std::vector<std::size_t> dims, std::size_t boxes)
      : shape_(shape), dims_(std::move(dims)) {
    keys_.reserve(boxes << dims_.size());
  }

  void add(Box const& box, bool negative) {
    for (std::size_t corner = 0; corner < std::size_t{1} << dims_.size(); ++corner) {
      Key key = 0;
      bool sign = negative;
      for (std::size_t k = 0; k < dims_.size(); ++k) {
        std::size_t const dim = dims_[k];
        bool const end = (corner >> k & 1) != 0;
        sign ^= end;
        key = key * (static_cast<Key>(shape_[dim]) + 1) +
              static_cast<Key>(box.offset[dim] + (end ? box.extent[dim] : 0));
      }
      keys_.push_back(key << 1 | static_cast<Key>(sign));
    }
  }

  struct Excess {
    std::vector<std::int64_t> element;
    std::int64_t times = 0;
  };
  /// The first corner whose signs do not cancel, and their sum.
  std::optional<Excess> first_excess() {
    std::ranges::sort(keys_);
    for (auto group = keys_.begin(); group != keys_.end();) {
      Key const corner = *group >> 1;
      std::int64_t sum = 0;
      for (; group != keys_.end() && *group >> 1 == corner; ++group) sum += (*group & 1) != 0 ? -1 : 1;
      if (sum != 0) return Excess{element_of(corner), sum};
    }
    return std::nullopt;
  }

 private:
  [[nodiscard]] std::vector<std::int64_t> element_of(Key corner) const {
    std::vector<std::int64_t> element(shape_.size(), 0);
    for (std::size_t k = dims_.size(); k-- > 0;) {
      auto const radix = static_cast<Key>(shape_[dims_[k]]) + 1;
      element[dims_[k]] = static_cast<std::int64_t>(corner % radix);
      corner /= radix;
    }
    return element;
  }

  std::span<std::int64_t const> shape_;
  std::vector<std::size_t> dims_;
  std::vector<Key> keys_;
};

}  // namespace

std::optional<std::string> problem_of_cover(std::span<std::int64_t const> shape, std::span<Box const> boxes) {
  if (auto problem = problem_of_shape(shape)) return problem;
  for (std::size_t k = 0; k < boxes.size(); ++k) {
    if (auto const problem = problem_of_box(shape, boxes[k])) return fmt::format("box {}: {}", k, *problem);
  }
  auto dims = cut_dims(shape, boxes);
  if ((boxes.size() + 1) << dims.size() > std::size_t{1} << 24) {
    return fmt::format("{} boxes cut along {} dims are more than can be checked", boxes.size(), dims.size());
  }
  Corners corners(shape, std::move(dims), boxes.size() + 1);
  for (auto const& box : boxes) corners.add(box, false);
  corners.add(whole(shape), true);
  auto const excess = corners.first_excess();
  if (!excess) return std::nullopt;
  auto const element = fmt::format("element [{}]", join(excess->element));
  return excess->times < 0 ? element + " lies in no box"
                           : fmt::format("{} lies in {} boxes", element, excess->times + 1);
}

}  // namespace tessera::checkpoint
