// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/comm/communicator.hpp"
#include "tessera/kernels/matmul.hpp"

namespace tessera::train {

/// FLOP/s of all ranks together in a large square product of type T, all ranks at the same time, the best of
/// a few runs of each: what model FLOP/s are a share of. Takes a fraction of a second and frees its memory.
/// Collective.
template <class T>
[[nodiscard]] double measure_peak_flops(kernels::MatmulProvider const& provider, comm::Communicator& world);

}  // namespace tessera::train
