// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/session.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <string>

#include "tessera/base/error.hpp"
#include "tessera/base/kokkos.hpp"

namespace tessera::comm {

namespace {

/// CUDA, which reads this when it starts, spreads its queues over 8 connections unless told otherwise, and a
/// queue that stands can hold up another of the same connection: there are about three for every
/// communicator.
[[maybe_unused]] void give_queues_connections() {
  static_cast<void>(setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0));
}

}  // namespace

std::unique_ptr<Session> open_session(std::span<CommunicatorBackend const> table, std::string_view name,
                                      int& argc, char**& argv) {
  if constexpr (!tensors_on_host) give_queues_connections();
  std::string known;
  for (auto const& backend : table) {
    if (backend.name == name) return backend.open(argc, argv);
    known += fmt::format("{}{}", known.empty() ? "" : ", ", backend.name);
  }
  throw ConfigError(
      {fmt::format("There is no communicator backend '{}' in this binary; it has: {}.", name, known)});
}

}  // namespace tessera::comm
