// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "agreement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <new>
#include <thread>

#include "tessera/comm/collectives.hpp"

namespace gpt_train {

using tessera::ExitCode;

std::optional<Failure> attempt(std::function<void()> const& action) {
  try {
    action();
    return std::nullopt;
  } catch (tessera::Error const& error) {
    return Failure{error.code(), error.what()};
  } catch (std::bad_alloc const&) {
    return Failure{ExitCode::no_memory, "the system has no memory left"};
  } catch (std::exception const& error) {
    return Failure{ExitCode::internal, error.what()};
  }
}

std::optional<Failure> attempt_all(std::vector<std::function<void()>> const& actions) {
  std::vector<std::string> problems;
  ExitCode code = ExitCode::ok;
  auto const note = [&](ExitCode of_problem, std::vector<std::string> const& found) {
    if (problems.empty()) code = of_problem;
    problems.insert(problems.end(), found.begin(), found.end());
  };
  for (auto const& action : actions) {
    try {
      action();
    } catch (tessera::ConfigError const& error) {
      note(error.code(), error.problems());
    } catch (tessera::Error const& error) {
      note(error.code(), {error.what()});
    }
  }
  if (problems.empty()) return std::nullopt;
  return Failure{code, tessera::ConfigError(problems).what()};
}

std::optional<ExitCode> agree(tessera::comm::Communicator& world, std::optional<Failure> const& failure) {
  int const first = all_reduce_value(world, failure ? world.rank() : world.size(), tessera::comm::Op::min);
  if (first == world.size()) return std::nullopt;
  int const own = failure ? static_cast<int>(failure->code) : 0;
  int const code = broadcast_value(world, own, first);
  if (world.rank() == first) {
    auto said = *failure;
    if (first != 0) said.message = fmt::format("rank {}: {}", first, said.message);
    print_failure(said);
  }
  barrier(world);
  return static_cast<ExitCode>(code);
}

void end_job(tessera::comm::Communicator& world, Failure const& failure) {
  // What several ranks meet at once is told by one: the lowest ends the job while the others wait.
  std::this_thread::sleep_for(std::min(world.rank(), 8) * std::chrono::milliseconds(500));
  print_failure({failure.code, fmt::format("rank {}: {}", world.rank(), failure.message)});
  for (;;) world.abort(static_cast<int>(failure.code));  // GCC forgets that the first call does not return
}

void print_failure(Failure const& failure) {
  std::fflush(stdout);
  std::fprintf(stderr, "gpt_train: error: %s\n", failure.message.c_str());
  std::fflush(stderr);
}

}  // namespace gpt_train
