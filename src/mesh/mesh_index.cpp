// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/mesh/mesh_index.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tessera::mesh {

namespace {

std::vector<std::string_view> words(std::string_view order) {
  std::vector<std::string_view> result;
  for (std::size_t begin = 0; begin <= order.size();) {
    std::size_t const end = std::min(order.find(',', begin), order.size());
    result.push_back(order.substr(begin, end - begin));
    begin = end + 1;
  }
  return result;
}

}  // namespace

std::string order_problem(std::string_view order) {
  auto const named = words(order);
  bool const each_once = std::all_of(all_axes.begin(), all_axes.end(), [&](Axis axis) {
    return std::count(named.begin(), named.end(), to_string(axis)) == 1;
  });
  if (each_once && named.size() == all_axes.size()) return {};
  return fmt::format("The mesh order '{}' does not name each of tp, dp and pp once, like 'tp,dp,pp'.", order);
}

MeshIndex::MeshIndex(MeshShape shape, std::string_view order) : shape_(shape), order_(all_axes) {
  std::sort(order_.begin(), order_.end(),
            [&](Axis a, Axis b) { return order.find(to_string(a)) < order.find(to_string(b)); });
}

int MeshIndex::rank(Coordinates const& coordinates) const noexcept {
  int rank = 0;
  for (auto axis = order_.rbegin(); axis != order_.rend(); ++axis) {
    rank = rank * shape_.along(*axis) + coordinates.along(*axis);
  }
  return rank;
}

Coordinates MeshIndex::coordinates(int rank) const noexcept {
  Coordinates result;
  for (Axis const axis : order_) {
    result.along(axis) = rank % shape_.along(axis);
    rank /= shape_.along(axis);
  }
  return result;
}

std::vector<int> MeshIndex::group(Axis axis, int rank_in_group) const {
  std::vector<int> ranks;
  Coordinates place = coordinates(rank_in_group);
  for (place.along(axis) = 0; place.along(axis) < shape_.along(axis); ++place.along(axis)) {
    ranks.push_back(rank(place));
  }
  return ranks;
}

std::vector<int> MeshIndex::first_ranks(Axis axis) const {
  std::vector<int> ranks;
  for (int rank = 0; rank < size(); ++rank) {
    if (coordinates(rank).along(axis) == 0) ranks.push_back(rank);
  }
  return ranks;
}

}  // namespace tessera::mesh
