// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The norm of all gradients, in parts that do not know the layout (rule 9 of docs/numerics.md).
#pragma once

#include <cstddef>

#include "tessera/base/views.hpp"

namespace tessera::kernels {

/// Elements of one chunk of a norm.
inline constexpr std::ptrdiff_t norm_chunk = 4096;

/// Chunks that `count` elements make; the last one may be shorter.
constexpr std::ptrdiff_t norm_chunks(std::ptrdiff_t count) { return (count + norm_chunk - 1) / norm_chunk; }

/// chunks[i] = the sum in double of the squares of elements [4096 i, 4096 (i+1)) of x, by the lanes of
/// sum.hpp. x (N), chunks (norm_chunks(N)).
template <class T>
void squared_norm_chunks(ExecutionSpace const& exec, ConstVector<T> x, Vector<double> chunks);

}  // namespace tessera::kernels
