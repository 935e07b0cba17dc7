// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <map>

#include "tessera/mesh/mesh.hpp"

namespace tessera::mesh {

namespace {

/// Nodes printed one by one; a larger job's map says how many more there are.
constexpr std::size_t nodes_printed = 16;

std::string_view to_string(Level level) {
  switch (level) {
    case Level::socket: return "inside a socket";
    case Level::node: return "inside a node";
    case Level::cluster: return "across nodes";
  }
  return "?";
}

std::string place(Coordinates const& at) { return fmt::format("(pp{} dp{} tp{})", at.pp, at.dp, at.tp); }

}  // namespace

std::string Mesh::map() const {
  std::map<int, std::vector<int>> nodes;
  for (int rank = 0; rank < size(); ++rank)
    nodes[locations_[static_cast<std::size_t>(rank)].node].push_back(rank);
  std::string text =
      fmt::format("Mesh: {} ranks = tp {} x pp {} x dp {} on {} node{}, order {}\n", size(), shape().tp,
                  shape().pp, shape().dp, nodes.size(), nodes.size() == 1 ? "" : "s", order_);
  std::size_t number = 0;
  for (auto const& [node, ranks] : nodes) {
    if (number == nodes_printed) break;
    text += fmt::format("  node {}:", number++);
    for (int const rank : ranks) text += fmt::format("  {} {}", rank, place(index_.coordinates(rank)));
    text += '\n';
  }
  if (nodes.size() > nodes_printed)
    text += fmt::format("  and {} nodes more\n", nodes.size() - nodes_printed);
  for (Axis const axis : all_axes) {
    auto const& chosen = plan(axis);
    if (shape().along(axis) == 1) continue;
    comm::Communicator const& group = axis == Axis::tp ? tp() : axis == Axis::dp ? dp() : pp();
    text += fmt::format("  {} {}: {}, {} ({})\n", mesh::to_string(axis), shape().along(axis),
                        to_string(chosen.level), group.backend(), chosen.reason);
  }
  return text;
}

}  // namespace tessera::mesh
