// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "tessera/comm/session.hpp"

namespace tessera::comm {

namespace {

/// What a launcher tells each process it starts: `size` names the variable with their number. A batch job's
/// shell carries Slurm's variables too, so those count only where `witness` says that a job step made this
/// process.
struct Launcher {
  std::string_view name;
  char const* size;
  char const* witness;
};

constexpr std::array launchers{
    Launcher{"Open MPI's mpirun", "OMPI_COMM_WORLD_SIZE", nullptr},
    Launcher{"an MPICH-like mpiexec", "PMI_SIZE", nullptr},
    Launcher{"Slurm's srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"},
};

std::optional<int> number_in(char const* variable) {
  char const* const text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  std::string_view const view(text);
  int value = 0;
  auto const [end, error] = std::from_chars(view.data(), view.data() + view.size(), value);
  if (error != std::errc() || end != view.data() + view.size()) return std::nullopt;
  return value;
}

/// The batch script and an interactive shell of a job are steps too, with names of their own and no tasks.
bool is_parallel_step() {
  auto const step = number_in("SLURM_STEP_ID");
  return step.has_value() && *step >= 0;
}

}  // namespace

std::optional<std::string> launcher_mismatch(int world_size) {
  for (auto const& launcher : launchers) {
    if (launcher.witness != nullptr && (std::getenv(launcher.witness) == nullptr || !is_parallel_step()))
      continue;
    auto const started = number_in(launcher.size);
    if (!started || *started <= world_size) continue;
    return fmt::format(
        "{} started {} processes ({}={}), but the communication library of this binary sees {}: each would "
        "run alone. "
        "Start it with the mpirun of the MPI it was built with (under srun, choose that MPI's --mpi= "
        "plugin).",
        launcher.name, *started, launcher.size, *started, world_size);
  }
  return std::nullopt;
}

}  // namespace tessera::comm
