// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Which process plays which mesh rank, and which communicator suits an axis then. Pure functions of where the
// processes run, so that any cluster can be tried in a test.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tessera/mesh/mesh_index.hpp"

namespace tessera::mesh {

/// Where a process runs. Processes with the same node share memory; `socket` is -1 where a process is not
/// bound to one processor package.
struct Location {
  int node = 0;
  int socket = -1;
};

/// Where `ranks` processes run when each `ranks_per_node` of them, in the launcher's order, count as a node;
/// 0: all on one.
[[nodiscard]] std::vector<Location> locations_by_hand(int ranks, int ranks_per_node);

/// Levels of links, the fastest first.
enum class Level { socket, node, cluster };

/// The fastest level that holds all of `members`.
[[nodiscard]] Level level_of(std::vector<Location> const& members);

/// The processes in mesh order: element r is the world rank that plays mesh rank r. Every tp group is put
/// inside one socket where sockets hold enough processes, else inside one node, else across nodes; nodes are
/// filled one after another, so that the axes after tp in the mesh order find their neighbours on the same
/// node too. The order in which a launcher dealt the processes out to the nodes does not matter. `locations`
/// by world rank.
[[nodiscard]] std::vector<int> place_ranks(MeshIndex const& index, std::vector<Location> const& locations);

/// The locations in mesh order, for place_ranks' result.
[[nodiscard]] std::vector<Location> in_mesh_order(std::vector<int> const& world_ranks,
                                                  std::vector<Location> const& locations);

/// The number m of members on each node if the group lies on several nodes, m >= 2 neighbours on each; else
/// nothing. These are the groups a hierarchical communicator is made for (comm/hierarchical.hpp).
[[nodiscard]] std::optional<int> members_per_node(std::vector<Location> const& members);

/// By what the ranks of an axis reach each other: the communicator that the mesh is made from ("mpi"), one
/// for devices over it ("nccl"), or both ("hierarchical": the latter inside nodes, where there are devices,
/// the former across).
enum class AxisBackend { automatic, mpi, hierarchical, nccl };

/// "auto", "mpi", "hierarchical", "nccl"; nothing for another name.
[[nodiscard]] std::optional<AxisBackend> axis_backend(std::string_view name);
[[nodiscard]] std::string_view to_string(AxisBackend backend);

/// What is asked for an axis, and whether the ranks have devices that reach each other.
struct AxisWish {
  AxisBackend backend = AxisBackend::automatic;
  bool devices = false;
};

/// The communicator of an axis and why it was chosen.
struct AxisPlan {
  bool tree = false;            ///< sums in a fixed tree (comm/tree.hpp)
  bool hierarchical = false;    ///< in all groups of the axis
  bool devices = false;         ///< between devices: the whole group, or a hierarchical one inside nodes
  Level level = Level::socket;  ///< the fastest that holds every group of the axis
  std::string reason;
};

/// `locations` by mesh rank. With explicit tiles sums are trees. Without, they are where every group is a
/// power of two of ranks that share a node, because there a tree takes half the time of Open MPI's all-reduce
/// (bench/comm), and the MPI library's elsewhere. A tree keeps its bits in a hierarchical path only if every
/// node holds an aligned power of two of the group (docs/numerics.md, rule 2); elsewhere the plan is the flat
/// tree. Devices reach each other directly inside a node and, unless that is asked for, not across. Throws
/// ConfigError where what is asked for does not exist: a hierarchy in groups that have none, or devices where
/// there are none.
[[nodiscard]] AxisPlan plan_axis(MeshIndex const& index, Axis axis, std::vector<Location> const& locations,
                                 bool explicit_tiles, AxisWish const& wish = {});

}  // namespace tessera::mesh
