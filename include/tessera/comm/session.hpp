// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "tessera/comm/communicator.hpp"

namespace tessera::comm {

/// A communication library, initialised; destroying it finalises it (all communicators must be gone by then).
/// Only an application opens a session: the library itself works on the communicators it is handed.
class Session {
 public:
  virtual ~Session() = default;
  Session() = default;
  Session(Session const&) = delete;
  Session& operator=(Session const&) = delete;

  /// Collective over the job. A new channel between all its processes.
  [[nodiscard]] virtual std::unique_ptr<Communicator> world() = 0;
};

/// One row of the table of communicator backends built into this binary.
struct CommunicatorBackend {
  std::string_view name;
  /// Collective over the job. Initialises the communication library; takes its own arguments out of argc, argv.
  std::unique_ptr<Session> (*open)(int& argc, char**& argv);
};

/// All communicator backends of this binary. Generated from the folders under backends/.
std::span<CommunicatorBackend const> communicator_backends();

/// Opens the backend called `name`. Throws ConfigError naming the backends there are.
[[nodiscard]] std::unique_ptr<Session> open_session(std::string_view name, int& argc, char**& argv);

}  // namespace tessera::comm
