// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "request.hpp"

#include "tessera/comm/progress.hpp"

namespace tessera::backends::mpi {

comm::Request MpiState::start(CallInfo const& call) {
  call_ = call;
  requests_.clear();
  ended_ = 0;
  return comm::Request(this);
}

bool MpiState::test() {
  for (; ended_ < requests_.size(); ++ended_) {
    int ended = 0;
    check(MPI_Test(&requests_[ended_], &ended, MPI_STATUS_IGNORE), call_);
    if (!ended) return false;
  }
  return true;
}

/// MPI's own wait is the better sleeper, but it would leave operations made of several steps standing.
void MpiState::wait_host() {
  if (comm::any_enlisted()) return comm::wait_until([this] { return test(); });
  for (; ended_ < requests_.size(); ++ended_) check(MPI_Wait(&requests_[ended_], MPI_STATUS_IGNORE), call_);
}

void MpiState::wait(StreamRef) { wait_host(); }

void MpiState::release() noexcept {
  for (; ended_ < requests_.size(); ++ended_) {
    comm::wait_until([this] {
      int ended = 0;
      return MPI_Test(&requests_[ended_], &ended, MPI_STATUS_IGNORE) != MPI_SUCCESS || ended;
    });
  }
  pool_.give_back(*this);
}

}  // namespace tessera::backends::mpi
