// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
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

  /// Name and version of the library, as it calls itself; empty where it does not.
  [[nodiscard]] virtual std::string library_name() const { return {}; }
  /// How tensors get to the library and who calls it, as chosen or forced: for the head of a run. Empty where
  /// it takes them from the memory they lie in and nothing was asked for.
  [[nodiscard]] virtual std::string tensor_way() const { return {}; }
  /// Collective over the job. A new channel between all its processes.
  [[nodiscard]] virtual std::unique_ptr<Communicator> world() = 0;
};

/// One row of the table of communicator backends built into this binary.
struct CommunicatorBackend {
  std::string_view name;
  /// Collective over the job. Initialises the communication library; takes its own arguments out of argc,
  /// argv.
  std::unique_ptr<Session> (*open)(int& argc, char**& argv);
  /// Name and version of the library, a line; needs no session. Null where there is no library.
  std::string (*version)() = nullptr;
};

/// All communicator backends of this binary. Generated from the folders under backends/.
std::span<CommunicatorBackend const> communicator_backends();

/// Opens the backend called `name` of `table`. Throws ConfigError naming the backends there are.
[[nodiscard]] std::unique_ptr<Session> open_session(std::span<CommunicatorBackend const> table,
                                                    std::string_view name, int& argc, char**& argv);

/// The same, out of all backends of this binary. Inline, so that whoever calls it links the table.
[[nodiscard]] inline std::unique_ptr<Session> open_session(std::string_view name, int& argc, char**& argv) {
  return open_session(communicator_backends(), name, argc, argv);
}

/// Says what is wrong when the launcher that started this process started more processes than the
/// `world_size` that the communication library sees, which happens when a binary is started by another MPI's
/// mpirun: every process then believes to be alone. Nothing when all is well. Reads the environment of the
/// launchers of Open MPI, MPICH and Slurm; a process started directly in the shell of a Slurm job is no
/// mismatch.
[[nodiscard]] std::optional<std::string> launcher_mismatch(int world_size);

/// What the launcher that started this process says of it in its environment: the processes it started and
/// this one's number among them. Nothing when no launcher did.
struct LauncherPlace {
  int rank = 0;
  int size = 1;
};
[[nodiscard]] std::optional<LauncherPlace> launcher_place();

}  // namespace tessera::comm
