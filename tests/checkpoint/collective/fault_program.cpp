// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Loads the newest checkpoint, if there is one, compares every element, and saves the steps that follow:
//
//   checkpoint_fault_program BACKEND DIRECTORY STEPS sync|async
//
// Rank 0 says on standard output `loaded N`, `saved N` and `failed N: WHY`, and warns on standard error.
// faults.py kills it, or lets the system calls of it fail, and looks at what is left.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "run.hpp"
#include "tessera/base/log.hpp"
#include "tessera/comm/session.hpp"

namespace tessera::checkpoint {

namespace {

void say(comm::Communicator const& world, std::string const& line) {
  if (world.rank() != 0) return;
  std::puts(line.c_str());
  std::fflush(stdout);
}

void load_and_save(comm::Communicator& world, std::string const& directory, int steps, bool synchronous) {
  Saver saver(world.duplicate(), {.directory = directory, .synchronous = synchronous});
  std::int64_t step = 0;
  if (Loader::any_step(directory)) {
    auto const loader = test::load_and_compare(world, directory);
    saver.learn_from(loader);
    step = loader.manifest().step;
    say(world, "loaded " + std::to_string(step));
  }
  for (int k = 0; k < steps; ++k) {
    ++step;
    try {
      test::save(saver, world, step, static_cast<std::uint64_t>(step));
      say(world, "saved " + std::to_string(step));
    } catch (IoError const& error) {
      say(world, "failed " + std::to_string(step) + ": " + error.what());
    }
  }
}

int run(int argc, char** argv) {
  auto const session = comm::open_session(argv[1], argc, argv);
  auto const world = session->world();
  set_log_sink([](LogLevel, std::string_view message) { std::cerr << "warning: " << message << '\n'; });
  try {
    load_and_save(*world, argv[2], std::atoi(argv[3]), std::string(argv[4]) == "sync");
  } catch (Error const& error) {
    if (world->rank() == 0) std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  }
  return testing::UnitTest::GetInstance()->Failed() ? 1 : 0;
}

}  // namespace

}  // namespace tessera::checkpoint

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc != 5) return 64;
  return tessera::checkpoint::run(argc, argv);
}
