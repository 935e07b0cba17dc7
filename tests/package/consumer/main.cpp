// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// y = x W^T with W (5, 12) split along its inputs over the ranks: every rank multiplies its part, the sum over the
// ranks is the whole.
#include <cstdio>

#include "tessera/base/version.hpp"
#include "tessera/comm/session.hpp"
#include "tessera/layers/row_linear.hpp"

int main(int argc, char** argv) {
  using namespace tessera;
  auto const session = comm::open_session("mpi", argc, argv);
  Kokkos::ScopeGuard const kokkos(argc, argv);
  auto const world = session->world();
  auto const matmul = kernels::make_matmul_provider("auto", DType::f32);
  int const rows = 4, outputs = 5, inputs = 12, ranks = world->size(), part = inputs / ranks;

  layers::Context context;
  context.tp = world.get();
  context.matmul = matmul.get();
  context.tokens.positions = rows;

  std::vector<params::TensorSpec> specs;  // what the layer is, the same on every rank
  layers::RowLinear<float>::describe(specs, "linear", outputs, inputs, ranks, 0.02);
  params::ParameterStore<float> store;  // what this rank holds of it
  layers::RowLinear<float> const linear(store, specs, 0, params::TileRange::of_rank(ranks, world->rank(), ranks));
  Arena arena("split_linear");
  store.allocate(arena, 1, 1);

  auto const weight = store.value(0);                // (outputs, part)
  auto const x = arena.cube<float>(1, rows, part);   // this rank's columns of x
  for (int k = 0; k < part; ++k) {
    int const column = world->rank() * part + k;
    for (int n = 0; n < outputs; ++n) weight(n * part + k) = static_cast<float>(n + column);
    for (int row = 0; row < rows; ++row) x(0, row, k) = static_cast<float>(column);
  }
  auto const sum = linear.forward(context, {x}, arena.cube<float>(1, rows, outputs));
  auto const y = layers::reduce(context, sum, {}).wait(context);  // without this line it does not compile

  bool right = true;
  for (int row = 0; row < rows; ++row) {
    for (int n = 0; n < outputs; ++n) right = right && y.value(row, n) == static_cast<float>(66 * n + 506);
  }
  if (world->rank() == 0) {
    std::printf("Tessera %s on %d ranks: %s\n", version().data(), ranks, right ? "right" : "WRONG");
  }
  return right ? 0 : 1;
}
