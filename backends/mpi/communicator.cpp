// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "communicator.hpp"

#include <cstdlib>
#include <limits>

#include "tessera/backends/mpi.hpp"
#include "tessera/comm/progress.hpp"

namespace tessera::backends::mpi {

namespace {

constexpr std::size_t int_max = std::numeric_limits<int>::max();
std::size_t count_limit = int_max;

}  // namespace

std::size_t max_count() noexcept { return count_limit; }
void set_max_count_for_tests(std::size_t count) noexcept { count_limit = count == 0 ? int_max : count; }

void CommTraits::free(Handle comm) noexcept {
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (!finalized) MPI_Comm_free(&comm);
}

MpiCommunicator::MpiCommunicator(UniqueComm comm) : comm_(std::move(comm)) {
  check(MPI_Comm_set_errhandler(comm_.get(), MPI_ERRORS_RETURN), call("set_errhandler"));
  check(MPI_Comm_rank(comm_.get(), &rank_), call("rank"));
  check(MPI_Comm_size(comm_.get(), &size_), call("size"));
}

std::unique_ptr<comm::Communicator> MpiCommunicator::split(std::optional<int> color, int key) {
  UniqueComm part;
  check(MPI_Comm_split(comm_.get(), color.value_or(MPI_UNDEFINED), key, part.address()), call("split"));
  return part ? std::make_unique<MpiCommunicator>(std::move(part)) : nullptr;
}

std::unique_ptr<comm::Communicator> MpiCommunicator::duplicate() { return from_raw(comm_.get()); }

std::unique_ptr<comm::Communicator> MpiCommunicator::split_by_node() {
  UniqueComm node;
  check(MPI_Comm_split_type(comm_.get(), MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, node.address()),
        call("split_by_node"));
  return std::make_unique<MpiCommunicator>(std::move(node));
}

/// A probe enters MPI's progress engine, which moves everything under way, and changes nothing.
void MpiCommunicator::progress() {
  int found = 0;
  check(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm_.get(), &found, MPI_STATUS_IGNORE), call("progress"));
  comm::progress_all();
}

void MpiCommunicator::abort(int exit_code) {
  MPI_Abort(comm_.get(), exit_code);
  std::_Exit(exit_code);
}

std::unique_ptr<comm::Communicator> from_raw(MPI_Comm raw) {
  UniqueComm copy;
  check(MPI_Comm_dup(raw, copy.address()), CallInfo{"duplicate"});
  return std::make_unique<MpiCommunicator>(std::move(copy));
}

}  // namespace tessera::backends::mpi
