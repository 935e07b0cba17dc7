// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What stands behind the handles of the CUDA runtime here.
#pragma once

#include <atomic>
#include <memory>

#include "support/cuda_double/queue.hpp"

struct CUstream_st {
  tessera::support::cuda_double::Queue queue;
};

/// The point that the last record set; null before.
struct CUevent_st {
  std::shared_ptr<std::atomic<bool>> reached;
};
