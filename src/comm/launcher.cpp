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

/// What a launcher tells each process it starts: the names of the variables with their number and with the
/// process' own. A batch job's shell carries Slurm's variables too, so those count only in a parallel step.
struct Launcher {
  std::string_view name;
  char const* size;
  char const* rank;
  bool only_in_step;
};

constexpr std::array launchers{
    Launcher{"Open MPI's mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", false},
    Launcher{"an MPICH-like mpiexec", "PMI_SIZE", "PMI_RANK", false},
    Launcher{"Slurm's srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", true},
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

/// The place that `launcher` gave this process, if it started it.
std::optional<LauncherPlace> place_by(Launcher const& launcher) {
  auto const size = number_in(launcher.size);
  auto const rank = number_in(launcher.rank);
  if (!size || !rank || (launcher.only_in_step && !is_parallel_step())) return std::nullopt;
  return LauncherPlace{*rank, *size};
}

}  // namespace

std::optional<LauncherPlace> launcher_place() {
  for (auto const& launcher : launchers) {
    if (auto const place = place_by(launcher)) return place;
  }
  return std::nullopt;
}

std::optional<std::string> launcher_mismatch(int world_size) {
  for (auto const& launcher : launchers) {
    auto const place = place_by(launcher);
    if (!place || place->size <= world_size) continue;
    return fmt::format(
        "{} started {} processes ({}={}), but the communication library of this binary sees {}: each would "
        "run alone. Start it with the mpirun of the MPI it was built with (under srun, choose that MPI's "
        "--mpi= plugin).",
        launcher.name, place->size, launcher.size, place->size, world_size);
  }
  return std::nullopt;
}

}  // namespace tessera::comm
