// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "tessera/base/kokkos.hpp"

namespace tessera::kernels {

/// Device memory for `bytes`, which grows to the largest ever asked for and then stays. One for the process:
/// its users are ordered by the one stream that kernels run on, and each reads only what it has written.
void* device_scratch_bytes(ExecutionSpace const& exec, std::size_t bytes);

/// The same for `count` elements.
template <class T>
T* device_scratch(ExecutionSpace const& exec, std::ptrdiff_t count) {
  return static_cast<T*>(device_scratch_bytes(exec, static_cast<std::size_t>(count) * sizeof(T)));
}

}  // namespace tessera::kernels
