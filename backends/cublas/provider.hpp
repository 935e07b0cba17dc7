// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "tessera/kernels/matmul.hpp"

namespace tessera::cublas {

/// How products of f32 are made: in float32, or on the tensor cores from operands rounded to tf32.
enum class SinglePrecision { exact, tf32 };

[[nodiscard]] std::unique_ptr<kernels::MatmulProvider> make(SinglePrecision single);

}  // namespace tessera::cublas
