// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>

#include "tessera/comm/session.hpp"

namespace tessera::comm {
namespace {

using Variables = std::map<std::string, std::string>;

/// Makes the environment that of a process started with `variables` and by no other launcher.
void start_with(Variables const& variables) {
  for (char const* name : {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "PMI_SIZE", "PMI_RANK",
                           "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_STEP_ID", "SLURM_NTASKS"}) {
    unsetenv(name);
  }
  for (auto const& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
}

std::optional<std::string> mismatch(Variables const& variables, int world_size) {
  start_with(variables);
  return launcher_mismatch(world_size);
}

Variables const open_mpi{{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_RANK", "3"}};
Variables const mpich{{"PMI_SIZE", "4"}, {"PMI_RANK", "0"}};
Variables const slurm_step{
    {"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_PROCID", "1"}, {"SLURM_STEP_ID", "0"}, {"SLURM_NTASKS", "4"}};

TEST(LauncherMismatch, NoLauncherIsNoMismatch) { EXPECT_EQ(mismatch({}, 1), std::nullopt); }

TEST(LauncherMismatch, TheRightLauncherIsNoMismatch) {
  for (auto const& launcher : {open_mpi, mpich, slurm_step}) EXPECT_EQ(mismatch(launcher, 4), std::nullopt);
}

TEST(LauncherMismatch, AnotherMpisLauncherIsNamed) {
  auto const message = mismatch(open_mpi, 1);
  ASSERT_TRUE(message.has_value());
  EXPECT_NE(message->find("Open MPI's mpirun started 4 processes"), std::string::npos) << *message;
  EXPECT_TRUE(mismatch(mpich, 1).has_value());
  EXPECT_TRUE(mismatch(slurm_step, 1).has_value());
}

TEST(LauncherMismatch, TheShellOfASlurmJobIsNoLauncher) {
  auto shell = slurm_step;
  shell["SLURM_STEP_ID"] = "4294967290";  // the interactive step
  EXPECT_EQ(mismatch(shell, 1), std::nullopt);
  EXPECT_EQ(mismatch({{"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "0"}}, 1), std::nullopt);
}

TEST(LauncherMismatch, AVariableThatIsNoNumberIsIgnored) {
  EXPECT_EQ(mismatch({{"PMI_SIZE", "many"}, {"PMI_RANK", "0"}}, 1), std::nullopt);
}

TEST(LauncherPlace, IsWhatTheLauncherSays) {
  start_with({});
  EXPECT_FALSE(launcher_place().has_value());
  start_with(open_mpi);
  ASSERT_TRUE(launcher_place().has_value());
  EXPECT_EQ(launcher_place()->rank, 3);
  EXPECT_EQ(launcher_place()->size, 4);
}

}  // namespace
}  // namespace tessera::comm
