// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/mesh/mesh.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "locate.hpp"
#include "tessera/base/error.hpp"
#include "tessera/comm/hierarchical.hpp"
#include "tessera/comm/tree.hpp"

namespace tessera::mesh {

namespace {

using comm::Communicator;

std::vector<std::string> shape_problems(MeshShape const& shape, int ranks) {
  std::vector<std::string> problems;
  for (Axis const axis : all_axes) {
    if (shape.along(axis) >= 1) continue;
    problems.push_back(
        fmt::format("{} is {}, but an axis has at least one rank.", to_string(axis), shape.along(axis)));
  }
  if (problems.empty() && shape.size() != ranks) {
    problems.push_back(fmt::format("tp {} x pp {} x dp {} makes {} ranks, but the job has {}.", shape.tp,
                                   shape.pp, shape.dp, shape.size(), ranks));
  }
  return problems;
}

std::vector<std::string> tile_problems(MeshShape const& shape) {
  std::vector<std::string> problems;
  for (Axis const axis : {Axis::tp, Axis::dp}) {
    int const ranks = shape.along(axis);
    if (ranks < 1 || std::has_single_bit(static_cast<unsigned>(ranks))) continue;
    problems.push_back(
        fmt::format("{} is {}: with explicit tiles it must be a power of two; choose {} or {}, or "
                    "automatic tiles.",
                    to_string(axis), ranks, std::bit_floor(static_cast<unsigned>(ranks)),
                    std::bit_ceil(static_cast<unsigned>(ranks))));
  }
  return problems;
}

/// The checks that need no communication. Returns the index, so that it runs before anything is built.
MeshIndex checked_index(int ranks, MeshShape const& shape, MeshOptions const& options) {
  auto problems = shape_problems(shape, ranks);
  if (options.explicit_tiles) {
    auto const more = tile_problems(shape);
    problems.insert(problems.end(), more.begin(), more.end());
  }
  if (auto problem = order_problem(options.order); !problem.empty()) problems.push_back(std::move(problem));
  if (options.ranks_per_node < 0) {
    problems.push_back(fmt::format("{} ranks per node is less than none.", options.ranks_per_node));
  }
  if (!options.locations.empty() && options.locations.size() != static_cast<std::size_t>(ranks)) {
    problems.push_back(fmt::format("{} locations are given for {} ranks.", options.locations.size(), ranks));
  }
  if (!problems.empty()) throw ConfigError(std::move(problems));
  return MeshIndex(shape, options.order);
}

void check_tp_level(AxisPlan const& plan, MeshShape const& shape, bool allowed) {
  if (plan.level != Level::cluster || allowed) return;
  throw ConfigError(
      {fmt::format("A tensor-parallel group of {} ranks does not fit inside a node and would communicate "
                   "in every layer over the links between nodes. Choose a tp that divides the ranks of "
                   "each node, start more ranks per node, or allow it (--allow-split-tp).",
                   shape.tp)});
}

AxisWish wish(Axis axis, MeshOptions const& options) {
  bool const devices = options.devices != nullptr;
  switch (axis) {
    case Axis::tp: return {options.tp_backend, devices};
    case Axis::dp: return {options.dp_backend, devices};
    case Axis::pp: return {options.pp_backend, devices};
  }
  return {};
}

/// The plans of all axes, with the problems of all at once.
std::array<AxisPlan, 3> plan_axes(MeshIndex const& index, std::vector<Location> const& locations,
                                  MeshOptions const& options) {
  std::array<AxisPlan, 3> plans;
  std::vector<std::string> problems;
  for (Axis const axis : all_axes) {
    try {
      plans[static_cast<std::size_t>(axis)] =
          plan_axis(index, axis, locations, options.explicit_tiles, wish(axis, options));
    } catch (ConfigError const& error) {
      problems.insert(problems.end(), error.problems().begin(), error.problems().end());
    }
  }
  if (!problems.empty()) throw ConfigError(std::move(problems));
  return plans;
}

}  // namespace

Mesh::Mesh(std::unique_ptr<Communicator> world, MeshShape shape, MeshOptions const& options,
           comm::Ledger& ledger)
    : index_(checked_index(world->size(), shape, options)), order_(options.order), devices_(options.devices) {
  auto const locations =
      options.locations.empty() ? locate(*world, options.ranks_per_node) : options.locations;
  auto const world_ranks = place_ranks(index_, locations);
  locations_ = in_mesh_order(world_ranks, locations);
  plans_ = plan_axes(index_, locations_, options);
  check_tp_level(plan(Axis::tp), shape, options.allow_split_tp);

  rank_ = static_cast<int>(std::find(world_ranks.begin(), world_ranks.end(), world->rank()) -
                           world_ranks.begin());
  coordinates_ = index_.coordinates(rank_);
  all_ = world->split(0, rank_);
  auto const record = [&](std::unique_ptr<Communicator> group, std::string_view name) {
    if (group && options.decorate) group = options.decorate(std::move(group), name, rank_);
    return group ? comm::make_recorded(std::move(group), ledger, std::string(name)) : nullptr;
  };
  world_ = record(all_->duplicate(), "world");
  tp_ = along(Axis::tp, record);
  dp_ = along(Axis::dp, record);
  pp_ = along(Axis::pp, record);
  dp_buckets_ = along(Axis::dp, record);
  pp_forward_ = along(Axis::pp, record);
  pp_backward_ = along(Axis::pp, record);
  bool const has_ties = shape.pp > 1 && (coordinates_.pp == 0 || coordinates_.pp == shape.pp - 1);
  int const pipeline = index_.group(Axis::pp, rank_).front();
  auto ends = all_->split(has_ties ? std::optional(pipeline) : std::nullopt, coordinates_.pp);
  ends = on_devices(Axis::pp, std::move(ends), "tied");
  // Two ranks add to the same bits in any order, but what a library for devices makes of sums is its own.
  if (ends && plan(Axis::pp).devices && options.explicit_tiles) ends = comm::make_tree(std::move(ends));
  tied_ = record(std::move(ends), "tied");
  model_ = record(all_->split(coordinates_.dp, rank_), "model");
}

std::unique_ptr<Communicator> Mesh::along(Axis axis, Record const& record) {
  auto group = all_->split(index_.group(axis, rank_).front(), coordinates_.along(axis));
  return record(fitted(axis, std::move(group)), to_string(axis));
}

std::unique_ptr<Communicator> Mesh::on_devices(Axis axis, std::unique_ptr<Communicator> group,
                                               std::string_view name) const {
  return group && plan(axis).devices ? devices_->over(std::move(group), name) : std::move(group);
}

std::unique_ptr<Communicator> Mesh::fitted(Axis axis, std::unique_ptr<Communicator> group) const {
  auto const& chosen = plan(axis);
  auto const summing = [&](std::unique_ptr<Communicator> part) {
    return chosen.tree ? comm::make_tree(std::move(part)) : std::move(part);
  };
  if (!chosen.hierarchical) return summing(on_devices(axis, std::move(group), to_string(axis)));
  std::vector<Location> members;
  for (int const member : index_.group(axis, rank_))
    members.push_back(locations_[static_cast<std::size_t>(member)]);
  int const local = members_per_node(members).value();
  auto inside = on_devices(axis, group->split(group->rank() / local, group->rank()), to_string(axis));
  auto across = group->split(group->rank() % local, group->rank());
  return comm::make_hierarchical(summing(std::move(group)), summing(std::move(inside)),
                                 summing(std::move(across)));
}

}  // namespace tessera::mesh
