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

template <int P, class T>
void forward_rows(ExecutionSpace const& exec, std::ptrdiff_t count, NormForward<T> const& norm, T const* x) {
  rows(
      exec, layer_norm_forward_label, count, KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) {
        normalise_row<T>(make_line<P>(team, norm.d, Read(x + row * norm.d)), norm, row);
      });
}

template <int P, class T>
void backward_rows(ExecutionSpace const& exec, std::ptrdiff_t count, NormBackward<T> const& norm) {
  rows(
      exec, layer_norm_backward_label, count,
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) { backward_row<P, T>(team, norm, row); });
}

}  // namespace

template <class T>
void layer_norm_forward(ExecutionSpace const& exec, ConstMatrix<T> x, ConstVector<Wide<T>> gamma,
                        ConstVector<Wide<T>> beta, Wide<T> epsilon, Matrix<T> y, Vector<Wide<T>> mean,
                        Vector<Wide<T>> rstd) {
  auto const d = static_cast<std::ptrdiff_t>(x.extent(1));
  auto const count = static_cast<std::ptrdiff_t>(x.extent(0));
  T const* const from = x.data();
  NormForward<T> const norm{gamma.data(), beta.data(), y.data(), mean.data(), rstd.data(), d, epsilon};
  with_held_packs<T>(held_packs<T>(d, detail::is_aligned(from) && is_aligned(norm)),
                     [&](auto packs) { forward_rows<packs(), T>(exec, count, norm, from); });
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
  auto const count = static_cast<std::ptrdiff_t>(x.extent(0));
  with_held_packs<T>(held_packs<T>(norm.d, is_aligned(norm)),
                     [&](auto packs) { backward_rows<packs(), T>(exec, count, norm); });
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
      exec, label_parameters, sums,
      KOKKOS_LAMBDA(std::ptrdiff_t r, Wide<T>(&value)[2], Wide<T> slope, T from) {
        value[0] = slope * ((from - m[r]) * s[r]);
        value[1] = slope;
      },
      Read(g), Read(a));
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
TESSERA_FOR_COMPUTE_TYPES(TESSERA_INSTANTIATE)

}  // namespace tessera::kernels
