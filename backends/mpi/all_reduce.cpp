// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "communicator.hpp"

namespace tessera::backends::mpi {

comm::Request MpiCommunicator::all_reduce(void const* send, void* receive, std::size_t count, DType type,
                                          comm::Op op, StreamRef stream) {
  return pieces(call("all_reduce", count, type), stream, [&](MpiState& state, std::size_t first, int n) {
    void const* const source = send == receive ? MPI_IN_PLACE : comm::element(send, first, type);
    check(MPI_Iallreduce(source, comm::element(receive, first, type), n, to_mpi(type), to_mpi(op),
                         comm_.get(), state.next()),
          state.call());
  });
}

}  // namespace tessera::backends::mpi
