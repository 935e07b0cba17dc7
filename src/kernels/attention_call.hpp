// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What a call of attention works on, and where its parts lie: shared by the host's tiles and the device's
// elements.
#pragma once

#include "tessera/kernels/attention.hpp"
#include "tessera/kernels/math.hpp"

namespace tessera::kernels::attention {

/// One (sequence, head) of the activations.
struct Place {
  std::ptrdiff_t sequence, head;
};
KOKKOS_INLINE_FUNCTION Place place_of(AttentionShape const& shape, std::ptrdiff_t index) {
  return {index / shape.heads, index % shape.heads};
}
KOKKOS_INLINE_FUNCTION std::uint64_t first_probability(AttentionShape const& shape,
                                                       DropoutHeads const& dropout, Place place) {
  std::int64_t const sequence = dropout.first_sequence + place.sequence;
  std::int64_t const head = sequence * dropout.total_heads + dropout.first_head + place.head;
  return static_cast<std::uint64_t>(head * shape.positions * shape.positions);
}

/// The rows of one head in a tensor (S*B, columns): row s at data + s * stride.
template <class T>
struct HeadRows {
  T* data;
  std::ptrdiff_t stride;
};

/// `part` counts heads-wide groups of columns: 0 q, 1 k, 2 v in qkv; 0 in out.
template <class T>
KOKKOS_INLINE_FUNCTION HeadRows<T> head_rows(AttentionShape const& shape, T* tensor, std::ptrdiff_t columns,
                                             Place place, int part) {
  return {tensor + place.sequence * columns + (part * shape.heads + place.head) * shape.head_size,
          shape.batch * columns};
}

/// 1 / sqrt(head size).
template <class T>
KOKKOS_INLINE_FUNCTION T score_scale(AttentionShape const& shape) {
  return math::rsqrt(static_cast<T>(shape.head_size));
}

/// Everything a forward call works on.
template <class T>
struct Forward {
  using Element = T;
  AttentionShape shape;
  T const* qkv;
  T* out;
  Wide<T>* log_sum_exp;
  DropoutHeads dropout;
  DropoutFactors factors;
};

/// Everything a backward call works on.
template <class T>
struct Backward {
  using Element = T;
  AttentionShape shape;
  T const* qkv;
  T const* out;
  Wide<T> const* log_sum_exp;
  T const* dout;
  DropoutHeads dropout;
  DropoutFactors factors;
  T* dqkv;
};

}  // namespace tessera::kernels::attention
