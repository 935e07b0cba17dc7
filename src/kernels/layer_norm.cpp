// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/layer_norm.hpp"

#include "kernels/columns.hpp"
#include "kernels/layer_norm_row.hpp"

namespace tessera::kernels {

namespace {

std::string const layer_norm_forward_label = "tessera::kernels::layer_norm_forward";
std::string const layer_norm_backward_label = "tessera::kernels::layer_norm_backward";
std::string const label_parameters = "tessera::kernels::layer_norm_backward_parameters";

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
KOKKOS_INLINE_FUNCTION void backward_row(RowTeam const& team, NormBackward<T> const& norm,
                                         std::ptrdiff_t row) {
  using W = Wide<T>;
  std::ptrdiff_t const d = norm.d;
  W const* const dy = norm.dy + row * d;
  T const* const x = norm.x + row * d;
  W const* const gamma = norm.gamma;
  T* const dx = norm.dx + row * d;
  W const mean = norm.mean[row];
  W const rstd = norm.rstd[row];
  W const sum = team.template sum_of<W>(
      d, [](W slope, W scale) { return slope * scale; }, Read(dy), Read(gamma));
  W const dot = team.template sum_of<W>(
      d, [&](W slope, W scale, T from) { return slope * scale * ((from - mean) * rstd); }, Read(dy),
      Read(gamma), Read(x));
  W const a = sum / static_cast<W>(d);
  W const b = dot / static_cast<W>(d);
  auto const value = [&](W slope, W scale, W from) {
    W const h = (from - mean) * rstd;
    return rstd * (slope * scale - math::fma(h, b, a));
  };
  if (norm.accumulate) {
    team.map(
        d, [&](T& to, W slope, W scale, T from) { to = static_cast<T>(to + value(slope, scale, from)); },
        Update(dx), Read(dy), Read(gamma), Read(x));
  } else {
    team.map(
        d, [&](T& to, W slope, W scale, T from) { to = static_cast<T>(value(slope, scale, from)); },
        Write(dx), Read(dy), Read(gamma), Read(x));
  }
}

}  // namespace

template <class T>
void layer_norm_forward(ExecutionSpace const& exec, ConstMatrix<T> x, ConstVector<Wide<T>> gamma,
                        ConstVector<Wide<T>> beta, Wide<T> epsilon, Matrix<T> y, Vector<Wide<T>> mean,
                        Vector<Wide<T>> rstd) {
  auto const d = static_cast<std::ptrdiff_t>(x.extent(1));
  T const* const from = x.data();
  NormForward<T> const norm{gamma.data(), beta.data(), y.data(), mean.data(), rstd.data(), d, epsilon};
  rows(
      exec, layer_norm_forward_label, static_cast<std::ptrdiff_t>(x.extent(0)),
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) {
        normalise_row(team, norm, row, from + row * d);
      });
}

template <class T>
void layer_norm_backward(ExecutionSpace const& exec, ConstMatrix<Wide<T>> dy, ConstMatrix<T> x,
                         ConstVector<Wide<T>> gamma, ConstVector<Wide<T>> mean, ConstVector<Wide<T>> rstd,
                         Matrix<T> dx, bool accumulate_dx) {
  NormBackward<T> const norm{dy.data(),
                             x.data(),
                             gamma.data(),
                             mean.data(),
                             rstd.data(),
                             dx.data(),
                             static_cast<std::ptrdiff_t>(x.extent(1)),
                             accumulate_dx};
  rows(
      exec, layer_norm_backward_label, static_cast<std::ptrdiff_t>(x.extent(0)),
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) { backward_row(team, norm, row); });
}

template <class T>
void layer_norm_backward_parameters(ExecutionSpace const& exec, ConstMatrix<Wide<T>> dy, ConstMatrix<T> x,
                                    ConstVector<Wide<T>> mean, ConstVector<Wide<T>> rstd,
                                    Matrix<Wide<T>> dgamma, Matrix<Wide<T>> dbeta, bool accumulate) {
  auto const d = static_cast<std::ptrdiff_t>(x.extent(1));
  auto const tiles = static_cast<std::ptrdiff_t>(dgamma.extent(0));
  Wide<T> const* const g = dy.data();
  T const* const a = x.data();
  Wide<T> const* const m = mean.data();
  Wide<T> const* const s = rstd.data();
  columns::Sums<Wide<T>, 2> const sums{
      {dgamma.data(), dbeta.data()}, tiles, static_cast<std::ptrdiff_t>(x.extent(0)) / tiles, d, accumulate};
  columns::sum(
      exec, label_parameters, sums, KOKKOS_LAMBDA(std::ptrdiff_t r, std::ptrdiff_t c, Wide<T>(&value)[2]) {
        Wide<T> const slope = g[r * d + c];
        value[0] = slope * ((a[r * d + c] - m[r]) * s[r]);
        value[1] = slope;
      });
}

#define TESSERA_INSTANTIATE(T)                                                                           \
  template void layer_norm_forward<T>(ExecutionSpace const&, ConstMatrix<T>, ConstVector<Wide<T>>,       \
                                      ConstVector<Wide<T>>, Wide<T>, Matrix<T>, Vector<Wide<T>>,         \
                                      Vector<Wide<T>>);                                                  \
  template void layer_norm_backward<T>(ExecutionSpace const&, ConstMatrix<Wide<T>>, ConstMatrix<T>,      \
                                       ConstVector<Wide<T>>, ConstVector<Wide<T>>, ConstVector<Wide<T>>, \
                                       Matrix<T>, bool);                                                 \
  template void layer_norm_backward_parameters<T>(                                                       \
      ExecutionSpace const&, ConstMatrix<Wide<T>>, ConstMatrix<T>, ConstVector<Wide<T>>,                 \
      ConstVector<Wide<T>>, Matrix<Wide<T>>, Matrix<Wide<T>>, bool);
TESSERA_INSTANTIATE(float)
TESSERA_INSTANTIATE(double)
TESSERA_INSTANTIATE(bf16)

}  // namespace tessera::kernels
