// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "tessera/kernels/matmul.hpp"

namespace tessera::kernels {

/// Host only: adds bf16 and f16 operands to what `inner` supports, by products of f32. Blocks of the operands
/// are widened into scratch memory, so its size does not depend on the product; which blocks there are
/// depends on the shape alone, so equal calls stay equal calls. The memory is taken by the first product.
[[nodiscard]] std::unique_ptr<MatmulProvider> make_widened(std::unique_ptr<MatmulProvider> inner);

/// Bytes of that memory.
[[nodiscard]] std::size_t widened_scratch_bytes();

}  // namespace tessera::kernels
