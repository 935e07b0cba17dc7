// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// For programs that have an MPI communicator of their own. Others open the session "mpi" (comm/session.hpp)
// and never see mpi.h.
#pragma once

#include <mpi.h>

#include <memory>

#include "tessera/comm/communicator.hpp"

namespace tessera::backends::mpi {

/// Collective over `raw`. A communicator for its processes on a duplicate of it: the caller keeps and frees
/// `raw`, and neither's messages can meet the other's. MPI must be initialised, with MPI_THREAD_FUNNELED or
/// higher where the program has other threads, and finalised after the result is gone. Errors of the
/// duplicate are thrown as CommError; those of `raw` stay with its own handler. MPICH reports some errors
/// of waits to the handler of MPI_COMM_WORLD: set MPI_ERRORS_RETURN there too, as the session "mpi" does.
/// Throws CommError if the duplication fails.
[[nodiscard]] std::unique_ptr<comm::Communicator> from_raw(MPI_Comm raw);

}  // namespace tessera::backends::mpi
