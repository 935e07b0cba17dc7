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

/// Not MPI's own wait: it would leave operations made of several steps standing, and MPICH's never yields the
/// processor to the rank it waits for.
void MpiState::wait_host() {
  comm::wait_until([this] { return test(); });
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
