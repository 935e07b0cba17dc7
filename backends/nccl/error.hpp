// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "vendor.hpp"

namespace tessera::backends::nccl {

/// Throws DeviceError with `call` and the runtime's own text unless `code` is a success.
void check_device(cudaError_t code, std::string_view call);

/// Throws CommError with `call` and the library's own text unless `code` is a success, or work that goes on
/// in the background. `comm` may be null.
void check_library(ncclResult_t code, std::string_view call, ncclComm_t comm);

}  // namespace tessera::backends::nccl
