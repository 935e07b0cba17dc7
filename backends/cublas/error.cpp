// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "error.hpp"

#include <fmt/format.h>

#include "tessera/base/error.hpp"

namespace tessera::cublas {

namespace {

[[noreturn]] void fail(std::string_view library, std::string_view what, std::string_view text, bool memory) {
  auto const message = fmt::format("{}: {}: {}", library, what, text);
  if (memory) throw MemoryError(message);
  throw InternalError(message);
}

}  // namespace

void check(cublasStatus_t status, std::string_view what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  fail("cuBLASLt", what, cublasLtGetStatusString(status), status == CUBLAS_STATUS_ALLOC_FAILED);
}

void check(cudaError_t status, std::string_view what) {
  if (status == cudaSuccess) return;
  fail("CUDA", what, cudaGetErrorString(status), status == cudaErrorMemoryAllocation);
}

}  // namespace tessera::cublas
