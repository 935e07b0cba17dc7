// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/mesh/placement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <utility>

#include "tessera/base/error.hpp"

namespace tessera::mesh {

namespace {

using Ranks = std::vector<int>;

/// Moves as many whole runs of `length` as there are from the front of `ranks` to the end of `runs`.
void cut_runs(Ranks& ranks, int length, Ranks& runs) {
  auto const whole = static_cast<std::ptrdiff_t>(ranks.size()) / length * length;
  runs.insert(runs.end(), ranks.begin(), ranks.begin() + whole);
  ranks.erase(ranks.begin(), ranks.begin() + whole);
}

/// All world ranks so that each `length` in a row lie as near to each other as the locations allow.
Ranks in_runs(std::vector<Location> const& locations, int length) {
  std::map<int, std::map<int, Ranks>> nodes;
  for (std::size_t rank = 0; rank < locations.size(); ++rank) {
    nodes[locations[rank].node][locations[rank].socket].push_back(static_cast<int>(rank));
  }
  Ranks runs;
  Ranks across_nodes;
  for (auto& [node, sockets] : nodes) {
    Ranks across_sockets;
    for (auto& [socket, ranks] : sockets) {
      cut_runs(ranks, length, runs);
      across_sockets.insert(across_sockets.end(), ranks.begin(), ranks.end());
    }
    cut_runs(across_sockets, length, runs);
    across_nodes.insert(across_nodes.end(), across_sockets.begin(), across_sockets.end());
  }
  runs.insert(runs.end(), across_nodes.begin(), across_nodes.end());
  return runs;
}

std::vector<Location> members(MeshIndex const& index, Axis axis, int rank,
                              std::vector<Location> const& locations) {
  std::vector<Location> result;
  for (int const member : index.group(axis, rank))
    result.push_back(locations[static_cast<std::size_t>(member)]);
  return result;
}

std::string flat_reason(bool explicit_tiles, Level level) {
  if (level != Level::cluster) return "every group lies inside one node";
  if (explicit_tiles)
    return "no equal, aligned power of two of neighbours on every node: flat tree, the same bits";
  return "not the same number, two or more, of neighbours on every node";
}

std::string reason_of(AxisPlan const& plan, Axis axis, bool explicit_tiles, AxisWish const& wish) {
  if (wish.backend != AxisBackend::automatic) return "as asked for";
  if (axis == Axis::pp) return "messages between neighbouring stages";
  return plan.hierarchical ? "several ranks on each of several nodes"
                           : flat_reason(explicit_tiles, plan.level);
}

/// `possible`: whether all groups of the axis have a hierarchy.
void expect_possible(Axis axis, bool possible, bool explicit_tiles, AxisWish const& wish) {
  if (wish.backend == AxisBackend::nccl && !wish.devices) {
    throw ConfigError(
        {fmt::format("{} asks for the backend nccl, which moves the memory of GPUs, and this run "
                     "uses none: choose mpi, hierarchical or auto.",
                     to_string(axis))});
  }
  if (wish.backend == AxisBackend::hierarchical && !possible) {
    throw ConfigError({fmt::format(
        "{} asks for the backend hierarchical, which sums inside nodes first: {}. Choose mpi or auto.",
        to_string(axis),
        axis == Axis::pp ? "a pipeline sums nothing"
        : explicit_tiles
            ? "its groups have no equal, aligned power of two of neighbours on several nodes"
            : "its groups have not the same number, two or more, of neighbours on several nodes")});
  }
}

}  // namespace

std::vector<Location> locations_by_hand(int ranks, int ranks_per_node) {
  std::vector<Location> locations(static_cast<std::size_t>(ranks));
  for (int rank = 0; rank < ranks && ranks_per_node > 0; ++rank)
    locations[static_cast<std::size_t>(rank)].node = rank / ranks_per_node;
  return locations;
}

Level level_of(std::vector<Location> const& members) {
  auto const same = [&](auto property) {
    return std::all_of(members.begin(), members.end(),
                       [&](Location const& member) { return property(member) == property(members.front()); });
  };
  if (!same([](Location const& member) { return member.node; })) return Level::cluster;
  bool const one_socket = same([](Location const& member) { return member.socket; });
  return one_socket && (members.size() == 1 || members.front().socket >= 0) ? Level::socket : Level::node;
}

std::vector<int> place_ranks(MeshIndex const& index, std::vector<Location> const& locations) {
  Ranks const runs = in_runs(locations, index.shape().tp);
  Ranks world_ranks(runs.size());
  auto next = runs.begin();
  for (int const first : index.first_ranks(Axis::tp)) {
    for (int const rank : index.group(Axis::tp, first)) world_ranks[static_cast<std::size_t>(rank)] = *next++;
  }
  return world_ranks;
}

std::vector<Location> in_mesh_order(std::vector<int> const& world_ranks,
                                    std::vector<Location> const& locations) {
  std::vector<Location> result;
  result.reserve(world_ranks.size());
  for (int const rank : world_ranks) result.push_back(locations[static_cast<std::size_t>(rank)]);
  return result;
}

std::optional<int> members_per_node(std::vector<Location> const& members) {
  auto const new_node = [&](std::size_t i) { return members[i].node != members[i - 1].node; };
  std::size_t run = 1;
  while (run < members.size() && !new_node(run)) ++run;
  if (run < 2 || run == members.size() || members.size() % run != 0) return std::nullopt;
  std::vector<int> nodes{members.front().node};
  for (std::size_t i = 1; i < members.size(); ++i) {
    if (new_node(i) != (i % run == 0)) return std::nullopt;
    if (new_node(i)) nodes.push_back(members[i].node);
  }
  std::sort(nodes.begin(), nodes.end());
  bool const each_node_once = std::adjacent_find(nodes.begin(), nodes.end()) == nodes.end();
  return each_node_once ? std::optional(static_cast<int>(run)) : std::nullopt;
}

std::optional<AxisBackend> axis_backend(std::string_view name) {
  for (auto const backend :
       {AxisBackend::automatic, AxisBackend::mpi, AxisBackend::hierarchical, AxisBackend::nccl}) {
    if (to_string(backend) == name) return backend;
  }
  return std::nullopt;
}

std::string_view to_string(AxisBackend backend) {
  switch (backend) {
    case AxisBackend::automatic: return "auto";
    case AxisBackend::mpi: return "mpi";
    case AxisBackend::hierarchical: return "hierarchical";
    case AxisBackend::nccl: return "nccl";
  }
  return "?";
}

AxisPlan plan_axis(MeshIndex const& index, Axis axis, std::vector<Location> const& locations,
                   bool explicit_tiles, AxisWish const& wish) {
  AxisPlan plan;
  bool const alone = index.shape().along(axis) == 1;
  if (axis == Axis::pp) explicit_tiles = false;
  bool possible = axis != Axis::pp;
  for (int const first : index.first_ranks(axis)) {
    auto const group = members(index, axis, first, locations);
    plan.level = std::max(plan.level, level_of(group));
    auto const local = members_per_node(group);
    bool const aligned = local && (!explicit_tiles || std::has_single_bit(static_cast<unsigned>(*local)));
    possible = possible && aligned;
  }
  expect_possible(axis, possible || alone, explicit_tiles, wish);
  bool const automatic = wish.backend == AxisBackend::automatic;
  plan.hierarchical = possible && (automatic || wish.backend == AxisBackend::hierarchical);
  plan.devices = wish.devices && wish.backend != AxisBackend::mpi &&
                 (!automatic || plan.hierarchical || plan.level != Level::cluster);
  if (alone) {
    plan.reason = "one rank";
    return plan;
  }
  bool const power_of_two = std::has_single_bit(static_cast<unsigned>(index.shape().along(axis)));
  bool const fast_tree = axis != Axis::pp && plan.level != Level::cluster && power_of_two && !plan.devices;
  plan.tree = explicit_tiles || fast_tree;
  plan.reason = reason_of(plan, axis, explicit_tiles, wish);
  return plan;
}

}  // namespace tessera::mesh
