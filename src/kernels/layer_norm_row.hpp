// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/base/bf16.hpp"
#include "tessera/kernels/launch.hpp"
#include "tessera/kernels/math.hpp"

namespace tessera::kernels {

/// The arrays of layer_norm_forward.
template <class T>
struct NormForward {
  Wide<T> const* gamma;
  Wide<T> const* beta;
  T* y;
  Wide<T>* mean;
  Wide<T>* rstd;
  std::ptrdiff_t d;
  Wide<T> epsilon;
};

/// Normalises one row, x (D).
template <class T>
KOKKOS_INLINE_FUNCTION void normalise_row(RowTeam const& team, NormForward<T> const& norm, std::ptrdiff_t row,
                                          T const* x) {
  using W = Wide<T>;
  std::ptrdiff_t const d = norm.d;
  Read const from(x);
  W const mean = team.template sum_of<W>(
                     d, [](T value) { return W(value); }, from) /
                 static_cast<W>(d);
  auto const squared = [&](T value) {
    W const difference = value - mean;
    return difference * difference;
  };
  W const squares = team.template sum_of<W>(d, squared, from);
  W const rstd = math::rsqrt(squares / static_cast<W>(d) + norm.epsilon);
  team.map(
      d,
      [&](T& y, T value, W gamma, W beta) {
        y = static_cast<T>(math::fma((value - mean) * rstd, gamma, beta));
      },
      Write(norm.y + row * d), from, Read(norm.gamma), Read(norm.beta));
  team.once([&] {
    norm.mean[row] = mean;
    norm.rstd[row] = rstd;
  });
}

}  // namespace tessera::kernels
