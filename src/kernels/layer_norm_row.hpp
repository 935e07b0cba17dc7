// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/row_lines.hpp"
#include "tessera/base/wide.hpp"
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

/// Whether every row begins on a multiple of 16 bytes where the arrays do.
template <class T>
bool is_aligned(NormForward<T> const& norm) {
  return detail::is_aligned(norm.gamma) && detail::is_aligned(norm.beta) && detail::is_aligned(norm.y);
}

/// Normalises one row, a line of x (D).
template <class T, class Line>
KOKKOS_INLINE_FUNCTION void normalise_row(Line const& x, NormForward<T> const& norm, std::ptrdiff_t row) {
  using W = Wide<T>;
  auto const d = static_cast<W>(norm.d);
  W const mean = x.template sum_of<W>([](T value) { return W(value); }) / d;
  W const squares = x.template sum_of<W>([&](T value) {
    W const difference = value - mean;
    return difference * difference;
  });
  W const rstd = math::rsqrt(squares / d + norm.epsilon);
  x.map([&](T value, T& y, W gamma,
            W beta) { y = static_cast<T>(math::fma((value - mean) * rstd, gamma, beta)); },
        Write(norm.y + row * norm.d), Read(norm.gamma), Read(norm.beta));
  x.team().once([&] {
    norm.mean[row] = mean;
    norm.rstd[row] = rstd;
  });
}

/// The arrays of layer_norm_backward.
template <class T>
struct NormBackward {
  Wide<T> const* dy;
  T const* x;
  Wide<T> const* gamma;
  Wide<T> const* mean;
  Wide<T> const* rstd;
  T* dx;
  std::ptrdiff_t d;
  bool accumulate;
};

template <class T>
bool is_aligned(NormBackward<T> const& norm) {
  return detail::is_aligned(norm.dy) && detail::is_aligned(norm.x) && detail::is_aligned(norm.gamma) &&
         detail::is_aligned(norm.dx);
}

/// dx of one row. The row of dx is read like that of x where it is added to.
template <int P, class T, class Team>
KOKKOS_INLINE_FUNCTION void backward_row(Team const& team, NormBackward<T> const& norm, std::ptrdiff_t row) {
  using W = Wide<T>;
  auto const d = static_cast<W>(norm.d);
  std::ptrdiff_t const begin = row * norm.d;
  bool const accumulate = norm.accumulate;
  W const mean = norm.mean[row];
  W const rstd = norm.rstd[row];
  Read const gamma(norm.gamma);
  T const* const old = accumulate ? norm.dx : norm.x;
  auto const line =
      make_line<P>(team, norm.d, Read(norm.dy + begin), Read(norm.x + begin), Read(old + begin));
  W const a = line.template sum_of<W>([](W slope, T, T, W scale) { return slope * scale; }, gamma) / d;
  auto const slope_along_x = [&](W slope, T x, T, W scale) { return slope * scale * ((x - mean) * rstd); };
  W const b = line.template sum_of<W>(slope_along_x, gamma) / d;
  line.map(
      [&](W slope, T x, T before, W scale, T& dx) {
        W const h = (x - mean) * rstd;
        W const value = rstd * (slope * scale - math::fma(h, b, a));
        dx = static_cast<T>(accumulate ? before + value : value);
      },
      gamma, Write(norm.dx + begin));
}

}  // namespace tessera::kernels
