// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Causal self-attention that never stores an S x S matrix: fixed tiles of queries and keys and a running
// softmax (Milakov and Gimelshein 2018; Rabe and Staats 2021; Dao et al., "FlashAttention", 2022), tiles
// above the diagonal skipped. Scores are scaled by 1 / sqrt(head size).
//
// Every (sequence, head) is worked on alone with the same fixed tiles, so its bits depend neither on how many
// heads or sequences a call holds nor on their place in it. The products inside are this room's own.
//
// Shapes: qkv (S*B, 3 * heads * head_size), columns: q of all heads, then k, then v; out (S*B, heads *
// head_size); rows are sequence-major, s * B + b. log_sum_exp (heads * B * S) holds for (h, b, s) the
// logarithm of the sum of exp of the scaled scores: all that backward needs besides its inputs.
#pragma once

#include <cstddef>

#include "tessera/base/compute_types.hpp"
#include "tessera/base/views.hpp"
#include "tessera/kernels/dropout.hpp"

namespace tessera::kernels {

struct AttentionShape {
  std::ptrdiff_t batch = 0;      ///< B
  std::ptrdiff_t positions = 0;  ///< S
  std::ptrdiff_t heads = 0;      ///< heads in this tile
  std::ptrdiff_t head_size = 0;  ///< D/H
};

/// Bytes of scratch memory that one host thread takes, once, for forward and backward of `shape`; it belongs
/// to the execution space and is reused by all calls. Scratch is wide: T is float (also for bf16 and f16) or
/// double.
template <class T>
[[nodiscard]] std::size_t attention_scratch_bytes(AttentionShape const& shape);
/// The most of it that a call can have; longer sequences are refused.
[[nodiscard]] std::size_t attention_scratch_limit();

/// out = softmax(q k^T / sqrt(head_size), causal) v with dropout on the probabilities, and log_sum_exp.
template <class T>
void attention_forward(ExecutionSpace const& exec, AttentionShape const& shape, ConstMatrix<T> qkv,
                       DropoutHeads const& dropout, Matrix<T> out, Vector<Wide<T>> log_sum_exp);

/// dqkv = the gradient of qkv, from what forward took and gave. dqkv may not be qkv.
template <class T>
void attention_backward(ExecutionSpace const& exec, AttentionShape const& shape, ConstMatrix<T> qkv,
                        ConstMatrix<T> out, ConstVector<Wide<T>> log_sum_exp, ConstMatrix<T> dout,
                        DropoutHeads const& dropout, Matrix<T> dqkv);

}  // namespace tessera::kernels
