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
  T const* dy;
  T const* x;
  T const* gamma;
  T const* mean;
  T const* rstd;
  T* dx;
  std::ptrdiff_t d;
  bool accumulate;
};

template <class T>
KOKKOS_INLINE_FUNCTION void backward_row(RowTeam const& team, NormBackward<T> const& norm,
                                         std::ptrdiff_t row) {
  std::ptrdiff_t const d = norm.d;
  T const* const dy = norm.dy + row * d;
  T const* const x = norm.x + row * d;
  T const* const gamma = norm.gamma;
  T* const dx = norm.dx + row * d;
  T const mean = norm.mean[row];
  T const rstd = norm.rstd[row];
  T const sum = team.template sum<T>(d, [&](std::ptrdiff_t i) { return dy[i] * gamma[i]; });
  T const dot =
      team.template sum<T>(d, [&](std::ptrdiff_t i) { return dy[i] * gamma[i] * ((x[i] - mean) * rstd); });
  T const a = sum / static_cast<T>(d);
  T const b = dot / static_cast<T>(d);
  auto const value = [&](T slope, T scale, T from) {
    T const h = (from - mean) * rstd;
    return rstd * (slope * scale - math::fma(h, b, a));
  };
  if (norm.accumulate) {
    team.map(
        d, [&](T& to, T slope, T scale, T from) { to += value(slope, scale, from); }, Update(dx), Read(dy),
        Read(gamma), Read(x));
  } else {
    team.map(
        d, [&](T& to, T slope, T scale, T from) { to = value(slope, scale, from); }, Write(dx), Read(dy),
        Read(gamma), Read(x));
  }
}

}  // namespace

template <class T>
void layer_norm_forward(ExecutionSpace const& exec, ConstMatrix<T> x, ConstVector<T> gamma,
                        ConstVector<T> beta, std::type_identity_t<T> epsilon, Matrix<T> y, Vector<T> mean,
                        Vector<T> rstd) {
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
void layer_norm_backward(ExecutionSpace const& exec, ConstMatrix<T> dy, ConstMatrix<T> x,
                         ConstVector<T> gamma, ConstVector<T> mean, ConstVector<T> rstd, Matrix<T> dx,
                         bool accumulate_dx) {
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
void layer_norm_backward_parameters(ExecutionSpace const& exec, ConstMatrix<T> dy, ConstMatrix<T> x,
                                    ConstVector<T> mean, ConstVector<T> rstd, Matrix<T> dgamma,
                                    Matrix<T> dbeta, bool accumulate) {
  auto const d = static_cast<std::ptrdiff_t>(x.extent(1));
  auto const tiles = static_cast<std::ptrdiff_t>(dgamma.extent(0));
  T const* const g = dy.data();
  T const* const a = x.data();
  T const* const m = mean.data();
  T const* const s = rstd.data();
  columns::Sums<T, 2> const sums{
      {dgamma.data(), dbeta.data()}, tiles, static_cast<std::ptrdiff_t>(x.extent(0)) / tiles, d, accumulate};
  columns::sum(
      exec, label_parameters, sums, KOKKOS_LAMBDA(std::ptrdiff_t r, std::ptrdiff_t c, T(&value)[2]) {
        T const slope = g[r * d + c];
        value[0] = slope * ((a[r * d + c] - m[r]) * s[r]);
        value[1] = slope;
      });
}

#define TESSERA_INSTANTIATE(T)                                                                               \
  template void layer_norm_forward<T>(ExecutionSpace const&, ConstMatrix<T>, ConstVector<T>, ConstVector<T>, \
                                      T, Matrix<T>, Vector<T>, Vector<T>);                                   \
  template void layer_norm_backward<T>(ExecutionSpace const&, ConstMatrix<T>, ConstMatrix<T>,                \
                                       ConstVector<T>, ConstVector<T>, ConstVector<T>, Matrix<T>, bool);     \
  template void layer_norm_backward_parameters<T>(ExecutionSpace const&, ConstMatrix<T>, ConstMatrix<T>,     \
                                                  ConstVector<T>, ConstVector<T>, Matrix<T>, Matrix<T>,      \
                                                  bool);
TESSERA_INSTANTIATE(float)
TESSERA_INSTANTIATE(double)

}  // namespace tessera::kernels
