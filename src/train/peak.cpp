// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/peak.hpp"

#include <algorithm>
#include <chrono>

#include "tessera/base/arena.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::train {

template <class T>
double measure_peak_flops(kernels::MatmulProvider const& provider, comm::Communicator& world) {
  constexpr std::ptrdiff_t n = tensors_on_host ? 1024 : 8192;  // what keeps all of a GPU busy
  constexpr int runs = 4;
  ExecutionSpace const exec;
  Arena arena("tessera::train::peak");
  auto const a = arena.matrix<T>(n, n), b = arena.matrix<T>(n, n), c = arena.matrix<T>(n, n);
  Kokkos::deep_copy(exec, a, T(1.0F));
  Kokkos::deep_copy(exec, b, T(0.5F));
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

template double measure_peak_flops<float>(kernels::MatmulProvider const&, comm::Communicator&);
template double measure_peak_flops<double>(kernels::MatmulProvider const&, comm::Communicator&);
template double measure_peak_flops<bf16>(kernels::MatmulProvider const&, comm::Communicator&);

}  // namespace tessera::train
