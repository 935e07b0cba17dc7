// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Failures that become common to all ranks before anybody throws, so that everybody throws the same.
#pragma once

#include <exception>
#include <new>
#include <optional>
#include <string>

#include "tessera/base/error.hpp"
#include "tessera/comm/communicator.hpp"

namespace tessera::checkpoint {

struct Failure {
  ExitCode code = ExitCode::internal;
  std::string message;
  bool named = false;  ///< the message says whose it is
};

/// Runs `action` and returns what it threw; nothing when it threw nothing.
template <class Action>
[[nodiscard]] std::optional<Failure> failure_of(Action&& action) {
  try {
    action();
  } catch (Error const& error) {
    return Failure{error.code(), error.what()};
  } catch (std::bad_alloc const&) {
    return Failure{ExitCode::no_memory, "not enough memory"};
  } catch (std::exception const& error) {
    return Failure{ExitCode::internal, error.what()};
  }
  return std::nullopt;
}

/// The same for an action that writes: what is missing while it is being written was taken away: that is no
/// missing input.
template <class Action>
[[nodiscard]] std::optional<Failure> failure_of_writing(Action const& action) {
  auto failure = failure_of(action);
  if (failure && failure->code == ExitCode::no_input) failure->code = ExitCode::cannot_create;
  return failure;
}

/// Collective, and blocks. The failure of the lowest rank that has one, named if it is not yet, on all ranks;
/// nothing when no rank has one.
[[nodiscard]] std::optional<Failure> agree(comm::Communicator& world, std::optional<Failure> const& own);

/// Collective, and blocks. The text of rank `root`, on all ranks.
[[nodiscard]] std::string broadcast_text(comm::Communicator& world, std::string text, int root);

/// Throws what `failure` tells: E, or what internal and no_memory stand for.
template <class E>
[[noreturn]] void throw_failure(Failure const& failure) {
  if (failure.code == ExitCode::internal) throw InternalError(failure.message);
  if (failure.code == ExitCode::no_memory) throw MemoryError(failure.message);
  throw E(failure.message, failure.code);
}

}  // namespace tessera::checkpoint
