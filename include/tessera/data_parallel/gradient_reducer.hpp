// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "tessera/comm/communicator.hpp"
#include "tessera/params/gradients.hpp"
#include "tessera/params/hooks.hpp"

namespace tessera::data_parallel {

struct ReducerOptions {
  std::int64_t bucket_bytes = 25 * 1024 * 1024;
  /// Start a bucket as soon as its gradients are there, while the backward pass goes on; else all at its end.
  bool overlap = true;
};

/// What the two roles of a tied tensor need: its id, and either the id of the other role's gradient on this
/// stage, or the two-rank group with the stage that has the other copy. All empty on stages in between.
struct Tie {
  std::optional<params::ParameterId> table;
  std::optional<params::ParameterId> second_gradient;
  comm::Communicator* group = nullptr;
};

/// Plain data parallelism: every replica holds all parameters, gradients are summed over dp in buckets.
///
/// A batch tile's gradients are first merged into the replica's tree (params/batch_tiles.hpp); after the last
/// one the store fills from its end to its beginning, and each bucket, cut from the end at multiples of its
/// size, starts when it is whole. Borders depend on the configuration alone, so a layout repeats its own
/// bits.
template <class T>
class GradientReducer final : public params::ParameterHooks {
 public:
  /// Borrows all arguments. `dp` is used by this object alone.
  GradientReducer(params::ParameterStore<T>& store, ExecutionSpace const& exec, comm::Communicator& dp,
                  Tie tie, ReducerOptions options);

  void acquire(int, params::Pass) override {}
  void release(int, params::Pass) override {}
  void gradients_ready(params::Range range, params::GradientTarget const& target) override;

  /// Completes the step's gradients over the replicas and adds the two roles of the tied tensor. Throws
  /// CommError. Collective over dp and over the tie's group.
  [[nodiscard]] params::ReducedGradients<T> finish(params::LocalGradients<T>&& gradients);

  /// What the last `finish` completed, or a device in a repetition of what led to it (train/step_graph.hpp).
  [[nodiscard]] params::ReducedGradients<T> finished() const { return params::ReducedGradients<T>(*store_); }

  /// Seconds the host stood waiting for buckets in the last `finish`.
  [[nodiscard]] double waited_s() const noexcept { return waited_s_; }

 private:
  void merge(params::Range range, params::GradientTarget const& target);
  void start_ready_buckets();
  [[nodiscard]] params::Range bucket(std::size_t i) const;
  void add_tied_roles();

  params::ParameterStore<T>* store_;
  ExecutionSpace exec_;
  comm::Communicator* dp_;
  Tie tie_;
  ReducerOptions options_;
  std::vector<comm::Request> requests_;  // (buckets)
  std::size_t started_ = 0;
  std::int64_t ready_from_ = 0;  ///< gradients from here to the end of the store are complete on this replica
  double waited_s_ = 0;
};

TESSERA_COMPUTE_TYPES(extern template class, GradientReducer)

}  // namespace tessera::data_parallel
