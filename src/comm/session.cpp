// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/session.hpp"

#include <fmt/format.h>

#include <string>

#include "tessera/base/error.hpp"
#include "tessera/comm/device_queue.hpp"

namespace tessera::comm {

std::unique_ptr<Session> open_session(std::span<CommunicatorBackend const> table, std::string_view name,
                                      int& argc, char**& argv) {
  prepare_device_queues();
  std::string known;
  for (auto const& backend : table) {
    if (backend.name == name) return backend.open(argc, argv);
    known += fmt::format("{}{}", known.empty() ? "" : ", ", backend.name);
  }
  throw ConfigError(
      {fmt::format("There is no communicator backend '{}' in this binary; it has: {}.", name, known)});
}

}  // namespace tessera::comm
