// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "error.hpp"

#include <fmt/format.h>

#include <array>

#include "tessera/base/error.hpp"

namespace tessera::backends::mpi {

void check(int code, CallInfo const& call, std::source_location where) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING + 1> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw CommError(fmt::format("{} of {} x {} on rank {} of {} (mpi) failed: {} [{}:{}]", call.operation,
                              call.count, to_string(call.type), call.rank, call.size,
                              std::string_view(text.data(), static_cast<std::size_t>(length)),
                              where.file_name(), where.line()));
}

}  // namespace tessera::backends::mpi
