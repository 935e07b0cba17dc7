// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Initial weights. Every element is drawn from its index in the whole tensor (rule 13 of docs/numerics.md),
// so a tile's values do not know who owns it.
#pragma once

#include "tessera/base/philox.hpp"
#include "tessera/base/views.hpp"
#include "tessera/kernels/element_runs.hpp"

namespace tessera::kernels {

/// x[i] = mean + stddev * z, where z is the normal number of i's global index: Box and Muller (1958) on the
/// four numbers of its Philox block, which make two pairs, computed in double; |z| < 6.8. Padding becomes 0.
/// x (outer * run).
template <class T>
void initialise_normal(ExecutionSpace const& exec, Vector<T> x, ElementRuns const& runs,
                       RandomSite const& site, double mean, double stddev);

}  // namespace tessera::kernels
