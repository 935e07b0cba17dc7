// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "tessera/base/stream_ref.hpp"
#include "vendor.hpp"

namespace tessera::backends::nccl {

/// The queue behind `stream`; nothing where there is none, because it is null or its space works on the host.
/// In a file of its own: tests on a Kokkos without devices give streams to instances of a host space.
std::optional<cudaStream_t> queue_of(StreamRef stream);

/// The device that Kokkos runs on in this process; nothing on host spaces.
std::optional<int> kokkos_device();

}  // namespace tessera::backends::nccl
