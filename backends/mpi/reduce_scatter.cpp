// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "communicator.hpp"

namespace tessera::backends::mpi {

/// MPI's reduce-scatter takes one int count and cannot write its result into its own input; a reduction to
/// every rank in turn can do both, all of them under way together.
comm::Request MpiCommunicator::reduce_scatter(void const* send, void* receive, std::size_t count, DType type,
                                              comm::Op op, StreamRef stream) {
  CallInfo const info = call("reduce_scatter", count, type);
  bool const in_place = receive == comm::element(send, static_cast<std::size_t>(rank_) * count, type);
  if (in_place || count > max_count()) {
    return pieces(info, stream, [&](MpiState& state, std::size_t first, int n) {
      for (int root = 0; root < size_; ++root) {
        void const* const block = comm::element(send, static_cast<std::size_t>(root) * count + first, type);
        void const* const source = in_place && root == rank_ ? MPI_IN_PLACE : block;
        check(MPI_Ireduce(source, comm::element(receive, first, type), n, to_mpi(type), to_mpi(op), root,
                          comm_.get(), state.next()),
              info);
      }
    });
  }
  return pieces(info, stream, [&](MpiState& state, std::size_t, int n) {
    check(MPI_Ireduce_scatter_block(send, receive, n, to_mpi(type), to_mpi(op), comm_.get(), state.next()),
          info);
  });
}

}  // namespace tessera::backends::mpi
