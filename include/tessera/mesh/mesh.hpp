// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The ranks of a job as a mesh with the axes tp, dp and pp, and the communicators along them. An example: 8
// ranks on two nodes of 4 (drawn with --ranks-per-node 4 on one machine just the same), tp 2, dp 2, pp 2,
// order "tp,dp,pp":
//
//                 node 0               node 1
//     rank     0   1   2   3        4   5   6   7
//     tp       0   1   0   1        0   1   0   1
//     dp       0   0   1   1        0   0   1   1
//     pp       0   0   0   0        1   1   1   1
//
//     tp()    {0 1} {2 3} {4 5} {6 7}     inside a node: two all-reduces a layer and direction
//     dp()    {0 2} {1 3} {4 6} {5 7}     gradients once a step
//     pp()    {0 4} {1 5} {2 6} {3 7}     activations between neighbouring stages
//     tied()  {0 4} {1 5} {2 6} {3 7}     first and last stage: gradients of the tied embedding
//     model() {0 1 4 5} {2 3 6 7}         all that hold one replica of the model
//
// `rank` in this library's names, files, logs and messages is the mesh rank, not the launcher's: the mesh
// re-orders the processes so that a tp group lies inside the fastest level of links that holds it, however
// the launcher placed them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tessera/comm/communicator.hpp"
#include "tessera/comm/device_session.hpp"
#include "tessera/comm/recorded.hpp"
#include "tessera/mesh/mesh_index.hpp"
#include "tessera/mesh/placement.hpp"

namespace tessera::mesh {

struct MeshOptions {
  /// The axes, the one whose neighbours are nearest first.
  std::string order{"tp,dp,pp"};
  /// 0: the nodes are found by shared memory. Otherwise each so many ranks of the launcher's order count as a
  /// node, which lets one machine play several.
  int ranks_per_node = 0;
  /// Whether a tp group may span nodes. It works, at the speed of the links between nodes.
  bool allow_split_tp = false;
  /// Sums along tp and dp in fixed trees: layout-invariant arithmetic (docs/numerics.md). tp and dp must then
  /// be powers of two.
  bool explicit_tiles = false;
  /// By what the ranks of each axis reach each other; auto is the fastest there is, as map() says.
  AxisBackend tp_backend = AxisBackend::automatic;
  AxisBackend dp_backend = AxisBackend::automatic;
  AxisBackend pp_backend = AxisBackend::automatic;
  /// The devices of the ranks, opened over the same world; null where tensors lie on hosts.
  comm::DeviceSession* devices = nullptr;
  /// For tests and by-hand descriptions: where each rank of the launcher's order runs. Empty: found out.
  std::vector<Location> locations{};
  /// Put around every communicator of the mesh, inside the record: gives back `part`, decorated. `name` is
  /// the one that it is recorded under, `rank` the mesh rank. Collective over the part.
  std::function<std::unique_ptr<comm::Communicator>(std::unique_ptr<comm::Communicator> part,
                                                    std::string_view name, int rank)>
      decorate{};
};

/// Every communicator below is collective over its own ranks only, a channel of its own, and recorded in the
/// ledger under the name given. Sums of tp(), dp() and dp_buckets() keep a fixed tree with explicit tiles,
/// and go node by node where a group spans nodes with several ranks in each. With devices, what stays inside
/// a node goes between them directly (tied() as pp(), in a tree with explicit tiles). map() says what was
/// chosen.
class Mesh {
 public:
  /// Collective over `world`, which is used up. Throws ConfigError, with all problems at once, when the shape
  /// is not that of the world, the order is wrong, explicit tiles meet an axis that is no power of two, a tp
  /// group would span nodes unasked, or a backend asked for does not exist. `ledger` and `options.devices`
  /// outlive the mesh.
  Mesh(std::unique_ptr<comm::Communicator> world, MeshShape shape, MeshOptions const& options,
       comm::Ledger& ledger);

  [[nodiscard]] int rank() const noexcept { return rank_; }
  [[nodiscard]] int size() const noexcept { return index_.size(); }
  [[nodiscard]] MeshShape const& shape() const noexcept { return index_.shape(); }
  [[nodiscard]] MeshIndex const& index() const noexcept { return index_; }
  [[nodiscard]] Coordinates const& coordinates() const noexcept { return coordinates_; }

  /// All ranks in mesh order; recorded as "world". Its sums keep no tree.
  [[nodiscard]] comm::Communicator& world() const noexcept { return *world_; }
  /// Ranks that differ in one coordinate alone, ordered by it; recorded as "tp", "dp", "pp".
  [[nodiscard]] comm::Communicator& tp() const noexcept { return *tp_; }
  [[nodiscard]] comm::Communicator& dp() const noexcept { return *dp_; }
  [[nodiscard]] comm::Communicator& pp() const noexcept { return *pp_; }
  /// As dp(), for gradient buckets that are under way while other operations use dp(); recorded as "dp".
  [[nodiscard]] comm::Communicator& dp_buckets() const noexcept { return *dp_buckets_; }
  /// As pp(), for messages to later stages and to earlier ones; recorded as "pp".
  [[nodiscard]] comm::Communicator& pp_forward() const noexcept { return *pp_forward_; }
  [[nodiscard]] comm::Communicator& pp_backward() const noexcept { return *pp_backward_; }
  /// Rank 0 the first stage, rank 1 the last one, of the same tp and dp; null on other stages and when pp is
  /// 1; recorded as "tied".
  [[nodiscard]] comm::Communicator* tied() const noexcept { return tied_.get(); }
  /// The ranks of one replica: same dp, in mesh order; recorded as "model". Its sums keep no tree.
  [[nodiscard]] comm::Communicator& model() const noexcept { return *model_; }

  /// What was chosen for an axis, and why.
  [[nodiscard]] AxisPlan const& plan(Axis axis) const noexcept {
    return plans_[static_cast<std::size_t>(axis)];
  }
  /// The mesh as text of several lines, for the head of a run: each node with its ranks, each axis with its
  /// communicator and the reason. The same on all ranks.
  [[nodiscard]] std::string map() const;

 private:
  using Record = std::function<std::unique_ptr<comm::Communicator>(std::unique_ptr<comm::Communicator>,
                                                                   std::string_view)>;
  std::unique_ptr<comm::Communicator> along(Axis axis, Record const& record);
  std::unique_ptr<comm::Communicator> fitted(Axis axis, std::unique_ptr<comm::Communicator> group) const;
  /// `group` between the devices of its ranks, under a name, if the plan of `axis` says so.
  std::unique_ptr<comm::Communicator> on_devices(Axis axis, std::unique_ptr<comm::Communicator> group,
                                                 std::string_view name) const;

  MeshIndex index_;
  std::string order_;
  comm::DeviceSession* devices_;
  int rank_ = 0;
  Coordinates coordinates_;
  std::vector<Location> locations_;  // by mesh rank
  std::array<AxisPlan, 3> plans_;
  std::unique_ptr<comm::Communicator> all_;  // unrecorded, the parent of the others
  std::unique_ptr<comm::Communicator> world_, tp_, dp_, pp_, dp_buckets_, pp_forward_, pp_backward_, tied_,
      model_;
};

}  // namespace tessera::mesh
