// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The one way this library adds or maximises many numbers inside a kernel (rule 5 of docs/numerics.md). Term
// i goes to lane i mod 16; a lane adds its terms one after another; after each block of 4,096 terms the lanes
// are added by a tree and the block's sum joins the total. So the bits depend on the terms and their number
// alone: not on the compiler's choice of vectors, not on threads, not on where the terms lie. On a device one
// thread is one lane.
#pragma once

#include <cstddef>

#include "tessera/base/kokkos.hpp"

namespace tessera::kernels {

/// True when kernels run on the processor, each row on one thread.
inline constexpr bool runs_on_host = std::is_same_v<ExecutionSpace, Kokkos::DefaultHostExecutionSpace>;

/// Threads of a device that run together and exchange values.
inline constexpr int warp_lanes = 32;

/// Lanes of a sum. Devices have their own number: bits are promised from host to host and from GPU to GPU.
inline constexpr int sum_lanes = runs_on_host ? 16 : warp_lanes;

/// Terms after which the lanes of a sum are folded into its total.
inline constexpr std::ptrdiff_t sum_block = 4096;

struct Plus {
  template <class A>
  KOKKOS_INLINE_FUNCTION A operator()(A const& a, A const& b) const {
    return a + b;
  }
};

/// The larger; a NaN is never the larger. What follows a maximum here is a sum of exp over the same terms,
/// and that keeps it.
struct Larger {
  template <class A>
  KOKKOS_INLINE_FUNCTION A operator()(A const& a, A const& b) const {
    return a < b ? b : a;
  }
};

namespace detail {

/// Terms [begin, end) folded into 16 lanes that start at `identity`, and the lanes by halving.
template <class A, class Fold, class Term>
KOKKOS_INLINE_FUNCTION A fold_block(std::ptrdiff_t begin, std::ptrdiff_t end, A identity, Fold fold,
                                    Term const& term) {
  A lane[sum_lanes];
  for (int l = 0; l < sum_lanes; ++l) lane[l] = identity;
  std::ptrdiff_t i = begin;
  for (; i + sum_lanes <= end; i += sum_lanes) {
    for (int l = 0; l < sum_lanes; ++l) lane[l] = fold(lane[l], static_cast<A>(term(i + l)));
  }
  for (int l = 0; l < end - i; ++l) lane[l] = fold(lane[l], static_cast<A>(term(i + l)));
  for (int width = sum_lanes / 2; width > 0; width /= 2) {
    for (int l = 0; l < width; ++l) lane[l] = fold(lane[l], lane[l + width]);
  }
  return lane[0];
}

template <class A, class Fold, class Term>
KOKKOS_INLINE_FUNCTION A fold_serial(std::ptrdiff_t n, A identity, Fold fold, Term const& term) {
  A total = identity;
  for (std::ptrdiff_t begin = 0; begin < n; begin += sum_block) {
    std::ptrdiff_t const end = begin + sum_block < n ? begin + sum_block : n;
    total = fold(total, fold_block<A>(begin, end, identity, fold, term));
  }
  return total;
}

}  // namespace detail

/// term(0) + ... + term(n - 1) in the order above, accumulated in A by the calling thread alone. Zero terms
/// give 0.
template <class A, class Term>
KOKKOS_INLINE_FUNCTION A lane_sum(std::ptrdiff_t n, Term const& term) {
  return detail::fold_serial<A>(n, A(0), Plus{}, term);
}

/// The largest term, or `least` if that is larger or there is none.
template <class A, class Term>
KOKKOS_INLINE_FUNCTION A lane_max(std::ptrdiff_t n, A least, Term const& term) {
  return detail::fold_serial<A>(n, least, Larger{}, term);
}

}  // namespace tessera::kernels
