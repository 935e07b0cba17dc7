// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "communicator.hpp"

namespace tessera::backends::mpi {

comm::Request MpiCommunicator::barrier(StreamRef stream) {
  return operation(call("barrier"), stream,
                   [&](MpiState& state) { check(MPI_Ibarrier(comm_.get(), state.next()), state.call()); });
}

}  // namespace tessera::backends::mpi
