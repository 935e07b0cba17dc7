// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The same provider with products of f32 on the tensor cores.
#include "provider.hpp"

namespace tessera::cublas {

std::unique_ptr<kernels::MatmulProvider> make_tf32_provider() { return make(SinglePrecision::tf32); }

}  // namespace tessera::cublas
