// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The arithmetic between a mesh rank and its place on the axes. Knows no communicator.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::mesh {

/// The axes: tensor, data and pipeline parallelism.
enum class Axis { tp, dp, pp };
inline constexpr std::array<Axis, 3> all_axes{Axis::tp, Axis::dp, Axis::pp};

constexpr std::string_view to_string(Axis axis) {
  constexpr std::array<std::string_view, 3> names{"tp", "dp", "pp"};
  return names[static_cast<std::size_t>(axis)];
}

/// Number of ranks along each axis; tp * pp * dp is the size of the job.
struct MeshShape {
  int tp = 1;
  int pp = 1;
  int dp = 1;
  [[nodiscard]] int size() const noexcept { return tp * pp * dp; }
  [[nodiscard]] int along(Axis axis) const noexcept {
    return axis == Axis::tp ? tp : axis == Axis::dp ? dp : pp;
  }
  bool operator==(MeshShape const&) const = default;
};

/// Place of a rank along each axis, from 0.
struct Coordinates {
  int tp = 0;
  int dp = 0;
  int pp = 0;
  [[nodiscard]] int& along(Axis axis) noexcept { return axis == Axis::tp ? tp : axis == Axis::dp ? dp : pp; }
  [[nodiscard]] int along(Axis axis) const noexcept {
    return axis == Axis::tp ? tp : axis == Axis::dp ? dp : pp;
  }
  bool operator==(Coordinates const&) const = default;
};

/// What is wrong with an order of axes, or nothing: it names tp, dp and pp once each, separated by commas.
[[nodiscard]] std::string order_problem(std::string_view order);

/// Mesh ranks count along the first axis of `order` fastest. For shape tp 2, dp 2, pp 2 and "tp,dp,pp", rank
/// 6 is tp 0, dp 1, pp 1: 6 = 0 + 2 * (1 + 2 * 1).
class MeshIndex {
 public:
  /// `shape` positive, `order` without a problem.
  MeshIndex(MeshShape shape, std::string_view order);

  [[nodiscard]] MeshShape const& shape() const noexcept { return shape_; }
  [[nodiscard]] int size() const noexcept { return shape_.size(); }
  [[nodiscard]] int rank(Coordinates const& coordinates) const noexcept;
  [[nodiscard]] Coordinates coordinates(int rank) const noexcept;

  /// The mesh ranks that differ from `rank` along `axis` alone, in the order of their coordinate; `rank` is
  /// one.
  [[nodiscard]] std::vector<int> group(Axis axis, int rank) const;
  /// The lowest mesh rank of every group along `axis`, in increasing order.
  [[nodiscard]] std::vector<int> first_ranks(Axis axis) const;

 private:
  MeshShape shape_;
  std::array<Axis, 3> order_;
};

}  // namespace tessera::mesh
