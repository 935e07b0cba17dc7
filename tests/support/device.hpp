// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>

#include "tessera/base/arena.hpp"
#include "tessera/base/kokkos.hpp"

namespace tessera::support {

/// Lets tests read what a kernel has written as soon as the call that launched it returns, where there is a device:
/// launches block and arenas take memory of both sides. Called before anything of CUDA starts.
inline void let_the_host_read_tensors() {
  if constexpr (!tensors_on_host) {
    ::setenv("CUDA_LAUNCH_BLOCKING", "1", 0);
    Arena::share_with_host_for_tests();
  }
}

}  // namespace tessera::support
