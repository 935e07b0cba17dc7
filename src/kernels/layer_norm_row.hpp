// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/kernels/launch.hpp"
#include "tessera/kernels/math.hpp"

namespace tessera::kernels {

/// The arrays of layer_norm_forward.
template <class T>
struct NormForward {
  T const* gamma;
  T const* beta;
  T* y;
  T* mean;
  T* rstd;
  std::ptrdiff_t d;
  T epsilon;
};

/// Normalises one row, x (D).
template <class T>
KOKKOS_INLINE_FUNCTION void normalise_row(RowTeam const& team, NormForward<T> const& norm, std::ptrdiff_t row,
                                          T const* x) {
  std::ptrdiff_t const d = norm.d;
  T const mean = team.template sum<T>(d, [&](std::ptrdiff_t i) { return x[i]; }) / static_cast<T>(d);
  T const squares = team.template sum<T>(d, [&](std::ptrdiff_t i) {
    T const difference = x[i] - mean;
    return difference * difference;
  });
  T const rstd = math::rsqrt(squares / static_cast<T>(d) + norm.epsilon);
  team.map(
      d, [&](T& y, T value, T gamma, T beta) { y = math::fma((value - mean) * rstd, gamma, beta); },
      Write(norm.y + row * d), Read(x), Read(norm.gamma), Read(norm.beta));
  team.once([&] {
    norm.mean[row] = mean;
    norm.rstd[row] = rstd;
  });
}

}  // namespace tessera::kernels
