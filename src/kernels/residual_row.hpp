// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/row_lines.hpp"
#include "tessera/base/wide.hpp"
#include "tessera/kernels/dropout.hpp"

namespace tessera::kernels {

/// The arrays of bias_dropout_add.
template <class T>
struct Addition {
  Wide<T> const* branch;
  Wide<T> const* bias;
  T const* residual;
  T* out;
  std::ptrdiff_t d;
  DropoutRows place;
  DropoutFactors factors;
};

template <class T>
bool is_aligned(Addition<T> const& add) {
  return detail::is_aligned(add.branch) && detail::is_aligned(add.bias) && detail::is_aligned(add.residual) &&
         detail::is_aligned(add.out);
}

template <class T>
KOKKOS_INLINE_FUNCTION T added(Wide<T> factor, T residual, Wide<T> branch, Wide<T> bias) {
  return static_cast<T>(residual + (branch + bias) * factor);
}

template <class T, class Team>
KOKKOS_INLINE_FUNCTION void add_row(Team const& team, Addition<T> const& add, std::ptrdiff_t row) {
  std::ptrdiff_t const d = add.d;
  using W = Wide<T>;
  map_with_factors<W>(
      team, add.factors, first_element(add.place, row, d), d,
      [](W factor, T& out, T residual, W branch, W bias) { out = added<T>(factor, residual, branch, bias); },
      Write(add.out + row * d), Read(add.residual + row * d), Read(add.branch + row * d), Read(add.bias));
}

/// Adds a row, and gives the line of its sum.
template <int P, class T, class Team>
KOKKOS_INLINE_FUNCTION auto add_line(Team const& team, Addition<T> const& add, std::ptrdiff_t row) {
  std::ptrdiff_t const begin = row * add.d;
  if constexpr (P == 0) {
    add_row(team, add, row);
    team.barrier();
    return make_line<0>(team, add.d, Read<T>(add.out + begin));
  } else {
    using W = Wide<T>;
    constexpr int width = elements_of_pack<Read<T>>;
    HeldLine<P, width, Team, T, W> const parts(team, add.d, Read<T>(add.residual + begin),
                                               Read<W>(add.branch + begin));
    HeldLine<P, width, Team, T> sum(team, add.d);
    auto const put = [&](W factor, int k, int j, T residual, W branch, W bias, T& out) {
      out = added<T>(factor, residual, branch, bias);
      sum.keep(k, j, out);
    };
    Read<W> const biases(add.bias);
    Write<T> const out(add.out + begin);
    if (!add.factors.active()) {
      parts.numbered_map([&](int k, int j, auto&... values) { put(W(1), k, j, values...); }, biases, out);
    } else {
      std::uint64_t const first = first_element(add.place, row, add.d);
      Philox4 numbers{};
      parts.numbered_map(
          [&](int k, int j, auto&... values) {
            if (j % 4 == 0) numbers = add.factors.site().block((first + parts.first_of_pack(k) + j) / 4);
            put(add.factors.template of<W>(numbers.value[j % 4]), k, j, values...);
          },
          biases, out);
    }
    return sum;
  }
}

}  // namespace tessera::kernels
