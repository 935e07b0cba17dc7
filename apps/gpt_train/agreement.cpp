// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "agreement.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <new>

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

void print_failure(Failure const& failure) {
  std::fflush(stdout);
  std::fprintf(stderr, "gpt_train: error: %s\n", failure.message.c_str());
  std::fflush(stderr);
}

}  // namespace gpt_train
