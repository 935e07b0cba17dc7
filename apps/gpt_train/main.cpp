// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// gpt_train: trains a GPT whose layers are split over the ranks of an MPI job. README.md shows how to run it.
#include <csignal>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agreement.hpp"
#include "command_line.hpp"
#include "departure.hpp"
#include "doctor.hpp"
#include "dry_run.hpp"
#include "identity.hpp"
#include "inspection.hpp"
#include "tessera/base/kokkos.hpp"
#include "tessera/base/standard_streams.hpp"
#include "tessera/checkpoint/fault_point.hpp"
#include "tessera/comm/session.hpp"
#include "tessera/train/signals.hpp"
#include "top.hpp"
#include "training.hpp"
#include "versions.hpp"

namespace {

using namespace gpt_train;
namespace comm = tessera::comm;

using Signals = std::optional<tessera::train::SignalWatch>;

/// Lets signals do what they do to any program, those that came already included.
void stop_watching(Signals& signals) {
  int const first = signals->first();
  signals.reset();
  if (first != 0) std::raise(first);
}

/// What a process does once it knows how many there are. Every rank returns the same code.
int run(comm::Session& session, comm::Communicator& world, std::vector<std::string> const& arguments,
        Signals& signals, Departure::Clock::time_point start) {
  CommandLine command;
  Inputs inputs;
  auto const parsed = attempt([&] {
    tessera::checkpoint::read_faults_of(world.size());
    command = parse_command_line(arguments, world.size(),
                                 [&](Settings& settings) { inspect(settings, world, inputs); });
  });
  if (auto const code = agree(world, parsed)) return static_cast<int>(*code);
  auto const same = attempt([&] { expect_same_everywhere(world, command); });
  if (auto const code = agree(world, same)) return static_cast<int>(*code);
  bool const saves = command.action == Action::train && !command.config.checkpoint.save.empty();
  if (!saves) stop_watching(signals);
  switch (command.action) {
    case Action::print:
      if (world.rank() == 0) std::fputs(command.text.c_str(), stdout);
      return 0;
    case Action::version:
      if (world.rank() == 0) std::fputs(versions_text().c_str(), stdout);
      return 0;
    case Action::dry_run: return static_cast<int>(dry_run(world, command));
    case Action::train:
      return static_cast<int>(run_training(session, world, command.config, std::move(inputs),
                                           signals ? &*signals : nullptr, start));
  }
  return static_cast<int>(tessera::ExitCode::internal);
}

}  // namespace

int main(int argc, char** argv) {
  auto const start = Departure::Clock::now();
  tessera::open_standard_streams();
  std::string_view const command = argc > 1 ? argv[1] : "";
  if (command == "top") return top({argv + 2, argv + argc});
  // A file that may not grow is an error of writing, told as one, not the end of the process.
  std::signal(SIGXFSZ, SIG_IGN);
  // So is a pipe whose reader has gone.
  std::signal(SIGPIPE, SIG_IGN);
  // From the very beginning: a scheduler may ask a run to leave while it is still reading its data.
  Signals signals(std::in_place);
  auto const place = comm::launcher_place();
  int code = static_cast<int>(tessera::ExitCode::internal);
  auto const failure = attempt([&] {
    tessera::checkpoint::read_faults();
    // Started alone, the program needs no communication library; its launcher's is asked for otherwise.
    auto const session = comm::open_session(place ? "mpi" : "loopback", argc, argv);
    auto const mismatch = comm::launcher_mismatch(session->world()->size());
    if (mismatch && command != "doctor") throw tessera::ConfigError({*mismatch}, tessera::ExitCode::usage);
    int no_arguments = 0;
    Kokkos::ScopeGuard const kokkos(no_arguments, static_cast<char**>(nullptr));
    auto const world = session->world();
    auto const alone = attempt([&] {
      code = command == "doctor" ? doctor(*session, *world, {argv + 2, argv + argc})
                                 : run(*session, *world, {argv + 1, argv + argc}, signals, start);
    });
    // Nobody agreed on this one: the others may wait for this rank, so it cannot leave in good order.
    if (alone) end_job(*world, *alone);
  });
  if (!tessera::flush_standard_output() && !failure) {
    print_failure({tessera::ExitCode::io,
                   {"standard output: some of what was printed could not be written; is the disk full?"}});
    return code == 0 ? static_cast<int>(tessera::ExitCode::io) : code;
  }
  if (!failure) return code;
  if (!place || place->rank == 0) print_failure(*failure);
  return static_cast<int>(failure->code);
}
