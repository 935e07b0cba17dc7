// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace tessera::checkpoint {

/// memcpy for what is not read again soon: writes past the caches where the processor can, which spares
/// reading the lines that are overwritten. memcpy does so too, but only for sizes beyond the cache's own.
/// Ended by end_of_streaming before another thread reads.
void stream_copy(std::byte* to, std::byte const* from, std::size_t bytes) noexcept;

/// Orders what stream_copy wrote before all that this thread writes later.
void end_of_streaming() noexcept;

}  // namespace tessera::checkpoint
