// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What `gpt_train doctor` measures.
#pragma once

#include "findings.hpp"
#include "tessera/comm/communicator.hpp"
#include "tessera/kernels/matmul.hpp"

namespace gpt_train {

/// Collective, about a second. Whether all-reduce adds up right, in several sizes, and how fast it is.
[[nodiscard]] Findings find_collectives(tessera::comm::Communicator& world);

/// Collective. Which library makes matrix products, how fast all ranks together are with it, and which share
/// that is of their peak. The peak is measured as well, at the same time on all ranks: a loop of independent
/// fused multiply-adds in registers, as wide as this binary was compiled for. `crowded`: there are more ranks
/// than cores, which run in turns, so that neither sum is what the cores can do.
[[nodiscard]] Findings find_products(tessera::comm::Communicator& world,
                                     tessera::kernels::MatmulProvider const& provider, bool crowded);

}  // namespace gpt_train
