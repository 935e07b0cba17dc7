// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "communicator.hpp"

namespace tessera::backends::mpi {

comm::Request MpiCommunicator::all_to_all(void const* send, void* receive, std::size_t count, DType type,
                                          StreamRef stream) {
  return pieces(call("all_to_all", count, type), stream, [&](MpiState& state, std::size_t first, int n) {
    StridedPiece const piece(n, count, type);
    check(MPI_Ialltoall(comm::element(send, first, type), piece.count(), piece.type(),
                        comm::element(receive, first, type), piece.count(), piece.type(), comm_.get(),
                        state.next()),
          state.call());
  });
}

}  // namespace tessera::backends::mpi
