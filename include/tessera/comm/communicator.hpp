// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What the library asks of a communication library, and nothing more. Backends (backends/mpi,
// backends/loopback) and decorators (tree.hpp, hierarchical.hpp, recorded.hpp) implement it; everything above
// uses the typed functions of collectives.hpp, which check their arguments once, so implementations need not.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "tessera/base/dtype.hpp"
#include "tessera/base/stream_ref.hpp"
#include "tessera/comm/request.hpp"

namespace tessera::comm {

/// How the values of the ranks are combined. A mean is a sum scaled by the caller of collectives.hpp.
enum class Op { sum, max, min };

/// A group of ranks and one ordered channel between them.
///
/// Rules for users and implementers alike:
/// - Every operation is non-blocking and returns a Request; the buffers belong to it until it ends.
/// - Counts are in elements. 0 is legal everywhere, as is a group of one rank.
/// - Collectives are called by all ranks of the group in the same order, with the same counts. Point-to-point
///   messages match in order per (communicator, peer); there are no tags: what must not be confused gets its
///   own communicator.
/// - Sends and receives that may cross stand between group_begin and group_end (see GroupGuard).
/// - In place means send == receive (all_reduce), or send == receive + rank * count (all_gather), or
///   receive == send + rank * count (reduce_scatter); on all ranks or on none.
/// - Requests end before the communicator they came from is destroyed.
/// - One thread uses a communicator at a time.
class Communicator {
 public:
  virtual ~Communicator() = default;
  Communicator() = default;
  Communicator(Communicator const&) = delete;
  Communicator& operator=(Communicator const&) = delete;

  [[nodiscard]] virtual int rank() const noexcept = 0;
  [[nodiscard]] virtual int size() const noexcept = 0;
  /// Name of the backend, with the decorators around it, for messages: "tree(mpi)".
  [[nodiscard]] virtual std::string_view backend() const noexcept = 0;

  /// `count` elements of `buffer` from rank `root` to all.
  virtual Request broadcast(void* buffer, std::size_t count, DType type, int root, StreamRef stream) = 0;
  /// `count` elements combined over all ranks, the result on all.
  virtual Request all_reduce(void const* send, void* receive, std::size_t count, DType type, Op op,
                             StreamRef stream) = 0;
  /// `count` elements from each rank, in rank order, to `size() * count` elements on all.
  virtual Request all_gather(void const* send, void* receive, std::size_t count, DType type,
                             StreamRef stream) = 0;
  /// `size() * count` elements combined over all ranks; rank r receives the r-th `count`.
  virtual Request reduce_scatter(void const* send, void* receive, std::size_t count, DType type, Op op,
                                 StreamRef stream) = 0;
  /// The r-th `count` elements of `send` go to rank r; `receive` is filled in rank order.
  virtual Request all_to_all(void const* send, void* receive, std::size_t count, DType type,
                             StreamRef stream) = 0;
  virtual Request send(void const* buffer, std::size_t count, DType type, int peer, StreamRef stream) = 0;
  virtual Request receive(void* buffer, std::size_t count, DType type, int peer, StreamRef stream) = 0;
  /// Ends on no rank before it was called on all.
  virtual Request barrier(StreamRef stream) = 0;

  /// Starts and ends a set of sends and receives that are issued as one. Use GroupGuard.
  virtual void group_begin() = 0;
  virtual void group_end() = 0;

  /// Collective. The ranks that give the same `color` form a group, ordered by (`key`, old rank). A rank that
  /// gives no color is in none and gets null.
  [[nodiscard]] virtual std::unique_ptr<Communicator> split(std::optional<int> color, int key) = 0;
  /// Collective. A second channel between the same ranks, independent of this one.
  [[nodiscard]] virtual std::unique_ptr<Communicator> duplicate() = 0;
  /// Collective. Splits into the groups whose ranks share memory, that is, lie on one node.
  [[nodiscard]] virtual std::unique_ptr<Communicator> split_by_node() = 0;

  /// Moves operations under way on without waiting. Called between kernels.
  virtual void progress() = 0;
  /// Ends every process of the job with `exit_code`, at once. Not collective. Does not return.
  [[noreturn]] virtual void abort(int exit_code) = 0;
};

/// Brackets a set of sends and receives. If the scope is left by an exception the group is still ended.
class GroupGuard {
 public:
  explicit GroupGuard(Communicator& communicator) : communicator_(communicator) {
    communicator_.group_begin();
  }
  GroupGuard(GroupGuard const&) = delete;
  GroupGuard& operator=(GroupGuard const&) = delete;
  ~GroupGuard() { communicator_.group_end(); }

 private:
  Communicator& communicator_;
};

}  // namespace tessera::comm
