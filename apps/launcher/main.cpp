// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// What stands in bin/ of a portable build in the place of each program: it replaces itself by the program of
// the level that it chose (same process, same arguments). TESSERA_ISA=v3 asks for a lower level than the
// processor has, so that machines of several kinds give the same bits.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "levels.hpp"
#include "tessera/base/exit_code.hpp"

namespace {

constexpr std::array<std::string_view, TESSERA_BUILT_LEVEL_COUNT> built_levels = {TESSERA_BUILT_LEVELS};

int fail(tessera::ExitCode code, std::string const& problem) {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  std::fprintf(stderr, TESSERA_PROGRAM ": %s: %s\n", host.data(), problem.c_str());
  return static_cast<int>(code);
}

/// The program of a level, beside this one's folder.
std::filesystem::path program_of(launcher::Level const& level) {
  auto const folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  return (folder / TESSERA_LEVELS_FROM_BIN / level.name / TESSERA_PROGRAM).lexically_normal();
}

}  // namespace

int main(int, char** argv) try {
  char const* const wanted = std::getenv("TESSERA_ISA");
  auto const [level, problem] =
      launcher::choose(built_levels, wanted != nullptr ? wanted : "", launcher::machine_has);
  if (level == nullptr) return fail(tessera::ExitCode::config, problem);
  for (auto const& [name, value] : level->settings) setenv(name, value, 0);
  auto const program = program_of(*level);
  execv(program.c_str(), argv);
  return fail(tessera::ExitCode::no_input, program.string() + " cannot be started: " + std::strerror(errno));
} catch (std::exception const& error) {
  return fail(tessera::ExitCode::internal, error.what());
}
