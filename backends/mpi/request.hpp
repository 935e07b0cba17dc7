// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mpi.h>

#include <vector>

#include "error.hpp"
#include "tessera/comm/request.hpp"
#include "tessera/comm/state_pool.hpp"

namespace tessera::backends::mpi {

/// One operation: one MPI request, or several where it was cut into pieces.
class MpiState final : public comm::RequestState {
 public:
  explicit MpiState(comm::StatePool<MpiState>& pool) : pool_(pool) {}

  comm::Request start(CallInfo const& call);
  /// Where the next MPI call of the operation puts its request. Good for that one call.
  MPI_Request* next() { return &requests_.emplace_back(MPI_REQUEST_NULL); }
  [[nodiscard]] CallInfo const& call() const noexcept { return call_; }

  bool test() override;
  void wait_host() override;
  void wait(StreamRef stream) override;
  void release() noexcept override;

 private:
  comm::StatePool<MpiState>& pool_;
  std::vector<MPI_Request> requests_;
  std::size_t ended_ = 0;
  CallInfo call_;
};

}  // namespace tessera::backends::mpi
