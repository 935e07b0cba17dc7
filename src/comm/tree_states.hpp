// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include "staged.hpp"
#include "tessera/comm/communicator.hpp"
#include "tessera/comm/device_queue.hpp"
#include "tessera/comm/state_pool.hpp"

namespace tessera::comm {

/// What the sums of one tree communicator share. Its members end in this order, backwards: the channel, which
/// waits for its messages, the queue, and then the memory that they work on.
struct TreeShared {
  TreeShared(std::unique_ptr<Communicator> own_channel, std::shared_ptr<DeviceQueues> of_device)
      : queues(std::move(of_device)),
        scratch(!tensors_on_host || queues != nullptr),
        messages(std::move(own_channel)),
        channel(*messages) {}

  std::shared_ptr<DeviceQueues> queues;  ///< null on hosts
  Scratch scratch;
  std::unique_ptr<WorkQueue> work;  ///< null before the first sum of device memory
  Turnstile turns;
  std::unique_ptr<Communicator> messages;  ///< of the tree alone, so that users' messages cannot meet it
  Communicator& channel;
};

/// What one sum was called with.
struct TreeSum {
  void const* send;
  void* receive;
  std::size_t count;
  DType type;
  StreamRef stream;
};

/// A sum under way: of the memory of a device with queues it goes on in a queue of the communicator, else by
/// the host.
class TreeState : public StagedState {
 public:
  explicit TreeState(TreeShared& shared) : StagedState(shared.turns), shared_(shared) {}

 protected:
  ~TreeState() = default;
  void begin_sum();
  [[nodiscard]] void* reserve(std::size_t bytes) { return shared_.scratch.reserve(bytes, on_device_); }
  void copy_into(void* to, void const* from, std::size_t count);
  void add_into(void* to, void const* a, void const* b, std::size_t count);
  /// Of what is exchanged.
  [[nodiscard]] StreamRef stream() const { return work() != nullptr ? work()->stream() : sum_.stream; }

  TreeShared& shared_;
  TreeSum sum_{};

 private:
  bool on_device_ = true;
};

/// All-reduce by recursive doubling: in step s a rank exchanges all it has with the rank at distance 2^s.
class TreeDoubling final : public TreeState {
 public:
  TreeDoubling(TreeShared& shared, StatePool<TreeDoubling>& pool) : TreeState(shared), pool_(pool) {}
  Request start(TreeSum const& sum);

 private:
  bool start_stage() override;
  void recycle() noexcept override { pool_.give_back(*this); }

  StatePool<TreeDoubling>& pool_;
  void* theirs_ = nullptr;
  int distance_ = 0;
};

/// Reduce-scatter by recursive halving with strided chunks, and on request an all-gather after it.
///
/// Chunk c is elements c*q to (c+1)*q, cut off at `count`. Before the step of distance d a rank holds the
/// partial sums of the chunks c = rank (mod d); it sends those with c != rank (mod 2d) to the rank at
/// distance d and adds what it receives to the others. What it receives is the memory the sums of the step
/// are kept in.
class TreeScatter final : public TreeState {
 public:
  TreeScatter(TreeShared& shared, StatePool<TreeScatter>& pool) : TreeState(shared), pool_(pool) {}
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

  StatePool<TreeScatter>& pool_;
  std::size_t chunk_count_ = 0;
  void* own_ = nullptr;
  void* levels_ = nullptr;
  int distance_ = 0;
  bool gather_ = false;
};

/// Elements of one chunk of a sum of `count` elements, a whole number of cache lines.
[[nodiscard]] std::size_t tree_chunk_count(int size, std::size_t count);

}  // namespace tessera::comm
