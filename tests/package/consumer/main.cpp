// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// y = x W^T with W split along its inputs over the ranks: every rank multiplies its part, the sum is the
// whole.
#include <cstdio>
#include <vector>

#include "tessera/base/version.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/comm/session.hpp"

int main(int argc, char** argv) {
  auto const session = tessera::comm::open_session("mpi", argc, argv);
  Kokkos::ScopeGuard const kokkos(argc, argv);
  auto const world = session->world();

  int const inputs = 12, outputs = 5, part = inputs / world->size(), first = world->rank() * part;
  std::vector<float> y(outputs, 0.0f);
  for (int n = 0; n < outputs; ++n) {
    for (int k = first; k < first + part; ++k) y[n] += static_cast<float>(k) * static_cast<float>(n + k);
  }
  tessera::comm::all_reduce_in_place(*world, y, tessera::comm::Op::sum).wait_host();

  bool right = true;
  for (int n = 0; n < outputs; ++n) right = right && y[n] == static_cast<float>(66 * n + 506);
  if (world->rank() == 0) {
    std::printf("Tessera %s on %d ranks: %s\n", tessera::version().data(), world->size(),
                right ? "right" : "WRONG");
  }
  return right ? 0 : 1;
}
