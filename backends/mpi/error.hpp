// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mpi.h>

#include <cstddef>
#include <source_location>
#include <string_view>

#include "tessera/base/dtype.hpp"

namespace tessera::backends::mpi {

/// What an error message says about the call that failed.
struct CallInfo {
  std::string_view operation;
  std::size_t count = 0;
  DType type = DType::u8;
  int rank = 0;
  int size = 0;
};

/// Throws CommError with `call`, MPI's own text and the caller's source line unless `code` is MPI_SUCCESS.
void check(int code, CallInfo const& call, std::source_location where = std::source_location::current());

}  // namespace tessera::backends::mpi
