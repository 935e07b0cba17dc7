// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "tessera/base/dtype.hpp"

namespace tessera::kernels {

/// Bytes that the plain provider's products of `type`, which is not narrow, take for packed blocks on a host;
/// the first product takes them. On devices none.
[[nodiscard]] std::size_t plain_scratch_bytes(DType type);

}  // namespace tessera::kernels
