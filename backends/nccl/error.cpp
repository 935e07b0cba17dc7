// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "error.hpp"

#include <fmt/format.h>

#include "tessera/base/error.hpp"

namespace tessera::backends::nccl {

void check_device(cudaError_t code, std::string_view call) {
  if (code == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // or the next call of whoever would report it again
  throw DeviceError(fmt::format("{} failed: {}", call, cudaGetErrorString(code)));
}

void check_library(ncclResult_t code, std::string_view call, ncclComm_t comm) {
  if (code == ncclSuccess || code == ncclInProgress) return;
  std::string_view const details = ncclGetLastError(comm) != nullptr ? ncclGetLastError(comm) : "";
  throw CommError(
      fmt::format("{} failed: {}{}{}", call, ncclGetErrorString(code), details.empty() ? "" : ": ", details));
}

}  // namespace tessera::backends::nccl
