// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Two linear layers split over all ranks: `up` (F, D) along its outputs, `down` (D, F) along its inputs, both
// in four tiles. Prints the same bits on 1, 2 and 4 ranks.
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include "tessera/base/error.hpp"
#include "tessera/base/version.hpp"
#include "tessera/comm/session.hpp"
#include "tessera/kernels/initialise.hpp"
#include "tessera/layers/column_linear.hpp"
#include "tessera/layers/row_linear.hpp"
#include "tessera/layers/tile_sum.hpp"
#include "tessera/mesh/mesh.hpp"

using namespace tessera;

constexpr int tiles = 4;
constexpr std::int64_t tokens = 8, d = 32, f = 128;

/// Normal numbers that belong to an element of the whole tensor, so that no layout changes a weight.
static void initialise(params::ParameterStore<float> const& store, ExecutionSpace const& exec) {
  for (params::ParameterId id = 0;
       auto const& [spec, own, role, range, stride, partials] : store.parameters()) {
    for (int tile = 0; tile < own.count; ++tile) {
      auto const [first, outer, gap, run, valid_run] = params::elements_of_tile(spec, own.first + tile);
      kernels::initialise_normal<float>(exec, store.value(id, tile), {first, outer, gap, run, valid_run},
                                        RandomSite(1, 0, static_cast<std::uint32_t>(id)), 0.0, 0.5);
    }
    ++id;
  }
}

static void run(std::unique_ptr<comm::Communicator> world) {
  int const ranks = world->size();
  if (auto const problem = comm::launcher_mismatch(ranks)) throw ConfigError({*problem}, ExitCode::usage);
  comm::Ledger ledger;
  mesh::Mesh const mesh(std::move(world), {.tp = ranks}, {.explicit_tiles = true}, ledger);
  auto const own = params::TileRange::of_rank(tiles, mesh.coordinates().tp, ranks);

  // The layers say what their parameters are, the store holds this rank's tiles of them.
  std::vector<params::TensorSpec> specs;
  layers::ColumnLinear<float>::describe(specs, "up", {}, f, {}, d, tiles, 0.5);
  layers::RowLinear<float>::describe(specs, "down", d, f, tiles, 0.5);
  params::ParameterStore<float> store;
  layers::ColumnLinear<float> const up(store, specs, 0, own);
  layers::RowLinear<float> const down(store, specs, 2, own);
  Arena arena("consumer");
  store.allocate(arena, 1, tiles);

  auto const matmul = kernels::make_matmul_provider("auto", DType::f32);
  layers::Context context;
  context.matmul = matmul.get();
  context.tp = &mesh.tp();
  context.tokens = {1, tokens, params::TileRange::all(tiles)};
  initialise(store, context.exec);

  layers::Replicated<float> const x{arena.matrix<float>(tokens, d)};
  layers::ShardedFeatures<float> const h{
      arena.cube<float>(static_cast<std::size_t>(own.count), tokens, f / tiles)};
  auto const levels = arena.cube<float>(layers::tile_sum_levels(own.count), tokens, d);
  Kokkos::deep_copy(context.exec, x.value, 1.0f);
  up.forward(context, x, h);
  // `down` gives a Partial; only a collective makes a Residual of it, so none can be forgotten.
  layers::Residual<float> const y =
      layers::reduce(context, down.forward(context, h, levels), {}).wait(context);

  auto const host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), y.value);
  if (mesh.rank() == 0) std::printf("Tessera %s: y = %a %a ...\n", version().data(), host(0, 0), host(7, 31));
}

int main(int argc, char** argv) {
  auto const session = comm::open_session("mpi", argc, argv);
  Kokkos::ScopeGuard const kokkos(argc, argv);
  auto world = session->world();
  bool const speaks = world->rank() == 0;
  try {
    run(std::move(world));
    return 0;
  } catch (Error const& error) {  // of all ranks: they were given the same
    if (speaks) std::fprintf(stderr, "consumer: %s\n", error.what());
    return static_cast<int>(error.code());
  }
}
