// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/hash.hpp"

#include "tessera/base/error.hpp"
#include "tessera/kernels/launch.hpp"
#include "tessera/kernels/math.hpp"

namespace tessera::kernels {

namespace {

std::string const label_hash = "tessera::kernels::weights_hash";

/// Elements of a run that one thread adds up.
constexpr std::int64_t hash_block = 4096;

}  // namespace

template <class T>
std::uint64_t weights_hash(ExecutionSpace const& exec, ConstVector<T> x, std::uint64_t name,
                           ElementRuns const& runs) {
  using Bits = typename math::detail::Layout<T>::Bits;
  require(runs.outer * runs.run == static_cast<std::int64_t>(x.extent(0)),
          "weights_hash: runs cover the tile");
  std::int64_t const blocks = (runs.valid_run + hash_block - 1) / hash_block;
  using Policy = Kokkos::RangePolicy<ExecutionSpace, Kokkos::IndexType<std::int64_t>>;
  std::uint64_t total = 0;
  T const* const from = x.data();
  Kokkos::parallel_reduce(
      label_hash, Policy(exec, 0, runs.outer * blocks),
      KOKKOS_LAMBDA(std::int64_t index, std::uint64_t & sum) {
        std::int64_t const outer = index / blocks;
        std::int64_t const begin = index % blocks * hash_block;
        std::int64_t const end = begin + hash_block < runs.valid_run ? begin + hash_block : runs.valid_run;
        std::uint64_t const origin = name + static_cast<std::uint64_t>(runs.first + outer * runs.stride);
        T const* const run = from + outer * runs.run;
        std::uint64_t own = 0;
        for (std::int64_t r = begin; r < end; ++r) {
          own += mix64(mix64(origin + static_cast<std::uint64_t>(r)) ^ math::detail::same_bits<Bits>(run[r]));
        }
        sum += own;
      },
      total);
  return total;
}

template std::uint64_t weights_hash<float>(ExecutionSpace const&, ConstVector<float>, std::uint64_t,
                                           ElementRuns const&);
template std::uint64_t weights_hash<double>(ExecutionSpace const&, ConstVector<double>, std::uint64_t,
                                            ElementRuns const&);

}  // namespace tessera::kernels
