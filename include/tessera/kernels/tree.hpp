// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Sums over tiles, and the small operations on whole tensors around them. Rule 2 of docs/numerics.md: partial
// results of tiles are added by a balanced binary tree, nearest neighbours first, so that a rank may hold any
// aligned power-of-two run of tiles and the tree goes on across ranks.
#pragma once

#include "tessera/base/compute_types.hpp"
#include "tessera/base/views.hpp"

namespace tessera::kernels {

/// out = the tree sum of parts[0], parts[1], ...: first 0+1, 2+3, ..., then (0+1)+(2+3), ... When their
/// number is not a power of two, the tree is that of the next one with the missing leaves left out. `out` may
/// be row 0 of `parts`; the parts themselves are only read (but for that row). At most 64 parts, else
/// InternalError. parts (parts, N), out (N).
template <class T>
void tree_sum(ExecutionSpace const& exec, ConstMatrix<T> parts, Vector<T> out);

/// a += b, both (N).
template <class T>
void add_to(ExecutionSpace const& exec, Vector<T> a, ConstVector<T> b);

/// Every element of v (N) becomes `value`.
template <class T>
void fill(ExecutionSpace const& exec, Vector<T> v, std::type_identity_t<T> value);

/// destination = source, both (N), not overlapping unless equal.
template <class T>
void copy(ExecutionSpace const& exec, ConstVector<T> source, Vector<T> destination);

/// Every element of destination (N) = that of source (N), rounded to T, which is bf16 or f16.
template <class T>
void round(ExecutionSpace const& exec, ConstVector<Wide<T>> source, Vector<T> destination);

/// v += +0: the one zero of v (N) becomes +0, all else stays. A sum with a rank that contributes nothing does
/// the same, so this makes a value computed alone equal to one that went through such a sum.
template <class T>
void add_positive_zero(ExecutionSpace const& exec, Vector<T> v);

}  // namespace tessera::kernels
