// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/sources.hpp"

#include <utility>

namespace tessera::checkpoint {

std::optional<std::string> problem_of_sources(Box const& box, std::span<ConstBoxMemory const> sources) {
  std::vector<Box> parts;
  for (auto const& source : sources) {
    auto part = intersection(source.box, box);
    if (part == box && sources.size() == 1) return std::nullopt;
    if (!part) continue;
    for (std::size_t dim = 0; dim < box.offset.size(); ++dim) part->offset[dim] -= box.offset[dim];
    parts.push_back(std::move(*part));
  }
  return problem_of_cover(box.extent, parts);
}

}  // namespace tessera::checkpoint
