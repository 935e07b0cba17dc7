// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <string_view>

namespace tessera::cublas {

/// Throw MemoryError where memory is out, else InternalError, with `what` was to be done and the library's
/// own words.
void check(cublasStatus_t status, std::string_view what);
void check(cudaError_t status, std::string_view what);

}  // namespace tessera::cublas
