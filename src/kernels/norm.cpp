// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/norm.hpp"

#include "tessera/kernels/launch.hpp"

namespace tessera::kernels {

namespace {

std::string const label_norm = "tessera::kernels::squared_norm_chunks";

}  // namespace

template <class T>
void squared_norm_chunks(ExecutionSpace const& exec, ConstVector<T> x, Vector<double> chunks) {
  auto const count = static_cast<std::ptrdiff_t>(x.extent(0));
  T const* const from = x.data();
  double* const sums = chunks.data();
  rows(
      exec, label_norm, norm_chunks(count), KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t chunk) {
        T const* const begin = from + chunk * norm_chunk;
        std::ptrdiff_t const left = count - chunk * norm_chunk;
        double const sum = team.template sum_of<double>(
            left < norm_chunk ? left : norm_chunk,
            [](T x) {
              auto const value = static_cast<double>(x);
              return value * value;
            },
            Read(begin));
        team.once([&] { sums[chunk] = sum; });
      });
}

template void squared_norm_chunks<float>(ExecutionSpace const&, ConstVector<float>, Vector<double>);
template void squared_norm_chunks<double>(ExecutionSpace const&, ConstVector<double>, Vector<double>);

}  // namespace tessera::kernels
