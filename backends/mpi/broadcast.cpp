// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "communicator.hpp"

namespace tessera::backends::mpi {

comm::Request MpiCommunicator::broadcast(void* buffer, std::size_t count, DType type, int root,
                                         StreamRef stream) {
  return pieces(call("broadcast", count, type), stream, [&](MpiState& state, std::size_t first, int n) {
    check(MPI_Ibcast(comm::element(buffer, first, type), n, to_mpi(type), root, comm_.get(), state.next()),
          state.call());
  });
}

}  // namespace tessera::backends::mpi
