// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Untyped element-wise work on tensor memory, for implementers of communicators. Each function has ended, as
// seen from the host, when it returns, since what follows is a message; but those that start work, which has
// ended after a fence of `exec`, and on hosts when they return.
#pragma once

#include <cstddef>

#include "tessera/base/dtype.hpp"
#include "tessera/base/stream_ref.hpp"

namespace tessera::comm {

/// Whether `memory` is of the kind that tensors lie in: on hosts all is.
inline bool is_tensor_memory(void const* memory) { return tensors_on_host || !host_can_read(memory); }

/// Address of element `index` of an array.
inline void* element(void* base, std::size_t index, DType type) {
  return static_cast<std::byte*>(base) + index * size_bytes(type);
}
inline void const* element(void const* base, std::size_t index, DType type) {
  return static_cast<std::byte const*>(base) + index * size_bytes(type);
}

/// Copies `bytes`; `to` and `from` are equal or do not overlap.
void copy_bytes(void* to, void const* from, std::size_t bytes, StreamRef stream);
void start_copy(ExecutionSpace const& exec, void* to, void const* from, std::size_t bytes);

/// Start copies between host memory, pinned where they are not to wait for each other, and tensor memory.
void copy_to_host(ExecutionSpace const& exec, void* to, void const* from, std::size_t bytes);
void copy_from_host(ExecutionSpace const& exec, void* to, void const* from, std::size_t bytes);

/// to[i] = a[i] + b[i] for `count` elements. `to` may be `a` or `b`; otherwise the three do not overlap.
void add(void* to, void const* a, void const* b, std::size_t count, DType type, StreamRef stream);
void start_add(ExecutionSpace const& exec, void* to, void const* a, void const* b, std::size_t count,
               DType type);

/// values[i] = values[i] / divisor for `count` elements of a floating type.
void divide(void* values, double divisor, std::size_t count, DType type, StreamRef stream);

}  // namespace tessera::comm
