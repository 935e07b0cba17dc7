// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/peak.hpp"

#include <algorithm>
#include <chrono>

#include "tessera/base/arena.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/kernels/initialise.hpp"
#include "tessera/kernels/tree.hpp"
#include "tessera/layers/random_use.hpp"

namespace tessera::train {

namespace {

/// Random numbers: products of constants take less power, and so less time, than those of real values.
template <class T>
void fill_randomly(ExecutionSpace const& exec, Arena& arena, Vector<T> x, std::uint32_t number) {
  auto const n = static_cast<std::int64_t>(x.extent(0));
  RandomSite const site(number, 0, layers::random_site(layers::RandomUse::initialise, 0));
  kernels::ElementRuns const runs{0, 1, n, n, n};
  if constexpr (std::is_same_v<T, Wide<T>>) {
    kernels::initialise_normal<T>(exec, x, runs, site, 0.0, 1.0);
  } else {
    auto const wide = arena.vector<Wide<T>>(x.extent(0));
    kernels::initialise_normal<Wide<T>>(exec, wide, runs, site, 0.0, 1.0);
    kernels::round<T>(exec, wide, x);
  }
}

}  // namespace

template <class T>
double measure_peak_flops(kernels::MatmulProvider const& provider, comm::Communicator& world) {
  constexpr std::ptrdiff_t n = tensors_on_host ? 1024 : 8192;  // what keeps all of a GPU busy
  constexpr int runs = 4;
  ExecutionSpace const exec;
  Arena arena("tessera::train::peak");
  auto const a = arena.matrix<T>(n, n), b = arena.matrix<T>(n, n), c = arena.matrix<T>(n, n);
  fill_randomly<T>(exec, arena, flat(a), 1);
  fill_randomly<T>(exec, arena, flat(b), 2);
  double best_s = 1e30;
  for (int run = 0; run < runs; ++run) {
    fence(exec);
    barrier(world);
    auto const start = std::chrono::steady_clock::now();
    kernels::matmul<T>(provider, exec, {kernels::Transpose::no, kernels::Transpose::no, n, n, n, n, n, n},
                       a.data(), b.data(), 0, c.data());
    fence(exec);
    best_s =
        std::min(best_s, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return all_reduce_value(world, 2.0 * n * n * n / best_s, comm::Op::sum);
}

#define TESSERA_INSTANTIATE(T) \
  template double measure_peak_flops<T>(kernels::MatmulProvider const&, comm::Communicator&);
TESSERA_FOR_COMPUTE_TYPES(TESSERA_INSTANTIATE)

}  // namespace tessera::train
