// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Tensors of a device over a communication library that reads host memory alone.
#pragma once

#include <cstddef>
#include <memory>

#include "tessera/comm/communicator.hpp"

namespace tessera::comm {

struct StagingOptions {
  /// Bytes of each rank's part that one message or collective of `inner` carries.
  std::size_t chunk_bytes = std::size_t{4} << 20;
  /// Also memory that the host reaches takes the way round, so that it can be tried without a device.
  bool always = false;
  /// Only all_reduce and reduce_scatter take the way round; `inner` is given the rest where it lies.
  bool sums_only = false;
};

/// Collective. Hands operations to `inner` on pinned host memory: cut into chunks, of which the next is
/// copied in and the one before copied out while one is under way. What lies in host memory already goes as
/// it is, in the same order. Whoever waits for an operation moves all of the thread's operations on
/// (progress.hpp). Sums keep their bits where those of `inner` do not depend on the count; decorate with sums
/// of fixed order outside it.
[[nodiscard]] std::unique_ptr<Communicator> make_staging(std::unique_ptr<Communicator> inner,
                                                         StagingOptions options = {});

}  // namespace tessera::comm
