// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>

#include "tessera/base/dtype.hpp"
#include "tessera/comm/communicator.hpp"
#include "tessera/comm/device_queue.hpp"

namespace tessera::comm {

/// Collective. A communicator whose floating-point sums are a balanced binary tree over the ranks, nearest
/// neighbours first (docs/numerics.md, rule 2), whatever the backend, the count and the operation. For 8
/// ranks:
///
///     rank      0   1   2   3   4   5   6   7
///     step 1    (0 + 1) (2 + 3) (4 + 5) (6 + 7)
///     step 2    ((0 + 1) + (2 + 3))   ((4 + 5) + (6 + 7))
///     step 3    (((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7)))
///
/// A rank that first sums an aligned power of two of neighbouring tiles the same way, and then calls this,
/// gives the same bits as one rank summing all tiles: the tree does not show where one rank ends and the next
/// begins.
///
/// An all-reduce below `tree_doubling_bytes` is recursive doubling, distance 1 first. Above, it is a
/// reduce-scatter by recursive halving, also distance 1 first, in which a rank keeps every second of the
/// chunks it holds (Thakur, Rabenseifner, Gropp, "Optimization of Collective Communication Operations in
/// MPICH", 2005, with the order of distances turned round), then an all-gather: 2 n (p-1)/p elements sent
/// instead of n log2 p. A reduce-scatter is the first half, and gives rank r the r-th chunk of exactly what
/// the all-reduce gives.
///
/// Maxima, minima, integer sums (exact in any order) and all other operations go to `inner`. Throws
/// ConfigError unless inner->size() is a power of two. Sums under way in one communicator run one after
/// another.
///
/// A sum of the memory of a device goes on in a queue of the communicator's own: its additions, and `inner`'s
/// messages, come after each other there, and the stream after the last. The host starts each step when
/// `inner` has taken the messages of the one before, and a wait with a stream returns when the last was
/// started. `queues` of the device: null where there are none.
[[nodiscard]] std::unique_ptr<Communicator> make_tree(
    std::unique_ptr<Communicator> inner, std::shared_ptr<DeviceQueues> queues = make_device_queues());

/// Where an all-reduce changes from recursive doubling to reduce-scatter and all-gather. Both give the same
/// bits.
inline constexpr std::size_t tree_doubling_bytes = 64 * 1024;

/// Bytes of scratch a tree communicator of `size` ranks keeps once it has summed `count` elements in one
/// all_reduce or (counted over all ranks) reduce_scatter. It keeps the most it ever needed, for one sum at a
/// time.
[[nodiscard]] std::size_t tree_scratch_bytes(int size, std::size_t count, DType type);

}  // namespace tessera::comm
