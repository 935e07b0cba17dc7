// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "tessera/params/parameter_store.hpp"

namespace tessera::train {

/// This rank's summand of the fingerprint of the weights: over the elements it owns, the sum mod 2^64 of
/// mix64(mix64(hash(name) + global index) ^ bits). A sum, so it depends neither on order nor on how tensors
/// are cut; tied copies are left out, and replicated tensors unless `counts_replicated`, so that each counts
/// once.
template <class T>
[[nodiscard]] std::uint64_t local_weights_hash(ExecutionSpace const& exec,
                                               params::ParameterStore<T> const& store,
                                               bool counts_replicated);

}  // namespace tessera::train
