// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "staged.hpp"
#include "tessera/comm/communicator.hpp"
#include "tessera/comm/state_pool.hpp"

namespace tessera::comm {

/// What the sums of one tree communicator share.
struct TreeShared {
  Communicator& channel;
  Turnstile turns;
  Scratch scratch;
};

/// What one sum was called with.
struct TreeSum {
  void const* send;
  void* receive;
  std::size_t count;
  DType type;
  StreamRef stream;
};

/// All-reduce by recursive doubling: in step s a rank exchanges all it has with the rank at distance 2^s.
class TreeDoubling final : public StagedState {
 public:
  TreeDoubling(TreeShared& shared, StatePool<TreeDoubling>& pool)
      : StagedState(shared.turns), shared_(shared), pool_(pool) {}
  Request start(TreeSum const& sum);

 private:
  bool start_stage() override;
  void recycle() noexcept override { pool_.give_back(*this); }

  TreeShared& shared_;
  StatePool<TreeDoubling>& pool_;
  TreeSum sum_{};
  void* theirs_ = nullptr;
  int distance_ = 0;
};

/// Reduce-scatter by recursive halving with strided chunks, and on request an all-gather after it.
///
/// Chunk c is elements c*q to (c+1)*q, cut off at `count`. Before the step of distance d a rank holds the
/// partial sums of the chunks c = rank (mod d); it sends those with c != rank (mod 2d) to the rank at
/// distance d and adds what it receives to the others. What it receives is the memory the sums of the step
/// are kept in.
class TreeScatter final : public StagedState {
 public:
  TreeScatter(TreeShared& shared, StatePool<TreeScatter>& pool)
      : StagedState(shared.turns), shared_(shared), pool_(pool) {}
  /// sum.count elements over all chunks. `own` receives chunk `rank`.
  Request start(TreeSum const& sum, std::size_t chunk_count, void* own, bool gather);

 private:
  bool start_stage() override;
  void recycle() noexcept override { pool_.give_back(*this); }

  void exchange();
  void add_received();
  void gather();
  [[nodiscard]] std::size_t length(int chunk) const noexcept;
  [[nodiscard]] void* received(int distance, int chunk) const noexcept;
  [[nodiscard]] void const* held(int distance, int chunk) const noexcept;

  TreeShared& shared_;
  StatePool<TreeScatter>& pool_;
  TreeSum sum_{};
  std::size_t chunk_count_ = 0;
  void* own_ = nullptr;
  void* levels_ = nullptr;
  int distance_ = 0;
  bool gather_ = false;
};

/// Elements of one chunk of a sum of `count` elements, a whole number of cache lines.
[[nodiscard]] std::size_t tree_chunk_count(int size, std::size_t count);

}  // namespace tessera::comm
