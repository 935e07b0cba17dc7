// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "communicator.hpp"

namespace tessera::backends::mpi {

namespace {
/// Order alone tells messages apart (Communicator); MPI wants a tag all the same.
constexpr int tag = 0;
}  // namespace

comm::Request MpiCommunicator::send(void const* buffer, std::size_t count, DType type, int peer,
                                    StreamRef stream) {
  return pieces(call("send", count, type), stream, [&](MpiState& state, std::size_t first, int n) {
    check(
        MPI_Isend(comm::element(buffer, first, type), n, to_mpi(type), peer, tag, comm_.get(), state.next()),
        state.call());
  });
}

comm::Request MpiCommunicator::receive(void* buffer, std::size_t count, DType type, int peer,
                                       StreamRef stream) {
  return pieces(call("receive", count, type), stream, [&](MpiState& state, std::size_t first, int n) {
    check(
        MPI_Irecv(comm::element(buffer, first, type), n, to_mpi(type), peer, tag, comm_.get(), state.next()),
        state.call());
  });
}

}  // namespace tessera::backends::mpi
