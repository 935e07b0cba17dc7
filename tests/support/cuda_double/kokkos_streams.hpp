// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include "tessera/base/stream_ref.hpp"

namespace tessera::support::cuda_double {

/// From now on `exec`, an instance of a host space, has `stream` behind it, as an instance of a device space
/// has; null takes it away. In place of backends/nccl/stream.cpp. Of the calling thread.
void give_stream(ExecutionSpace const& exec, cudaStream_t stream);

}  // namespace tessera::support::cuda_double
