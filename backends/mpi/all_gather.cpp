// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "communicator.hpp"

namespace tessera::backends::mpi {

comm::Request MpiCommunicator::all_gather(void const* send, void* receive, std::size_t count, DType type,
                                          StreamRef stream) {
  bool const in_place = send == comm::element(receive, static_cast<std::size_t>(rank_) * count, type);
  return pieces(call("all_gather", count, type), stream, [&](MpiState& state, std::size_t first, int n) {
    void const* const source = in_place ? MPI_IN_PLACE : comm::element(send, first, type);
    StridedPiece const piece(n, count, type);
    check(MPI_Iallgather(source, n, to_mpi(type), comm::element(receive, first, type), piece.count(),
                         piece.type(), comm_.get(), state.next()),
          state.call());
  });
}

}  // namespace tessera::backends::mpi
