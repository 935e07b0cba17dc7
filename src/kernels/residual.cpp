// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/residual.hpp"

#include "kernels/layer_norm_row.hpp"
#include "kernels/residual_row.hpp"

namespace tessera::kernels {

namespace {

std::string const label_add = "tessera::kernels::bias_dropout_add";
std::string const residual_backward_label = "tessera::kernels::dropout_backward";
std::string const label_add_norm = "tessera::kernels::bias_dropout_add_layer_norm";

template <class T>
Addition<T> make_addition(Matrix<Wide<T> const> branch, Vector<Wide<T> const> bias, Matrix<T const> residual,
                          DropoutRows const& dropout, Matrix<T> out) {
  return {branch.data(),
          bias.data(),
          residual.data(),
          out.data(),
          static_cast<std::ptrdiff_t>(out.extent(1)),
          dropout,
          DropoutFactors(dropout.probability, dropout.site)};
}

template <int P, class T>
void add_and_normalise(ExecutionSpace const& exec, std::ptrdiff_t count, Addition<T> const& add,
                       NormForward<T> const& norm) {
  rows(
      exec, label_add_norm, count, KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) {
        normalise_row<T>(add_line<P, T>(team, add, row), norm, row);
      });
}

}  // namespace

template <class T>
void bias_dropout_add(ExecutionSpace const& exec, ConstMatrix<Wide<T>> branch, ConstVector<Wide<T>> bias,
                      ConstMatrix<T> residual, DropoutRows const& dropout, Matrix<T> out) {
  auto const add = make_addition<T>(branch, bias, residual, dropout, out);
  rows(
      exec, label_add, static_cast<std::ptrdiff_t>(out.extent(0)),
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) { add_row(team, add, row); });
}

template <class T>
void dropout_backward(ExecutionSpace const& exec, ConstMatrix<T> dy, DropoutRows const& dropout,
                      Matrix<T> dx) {
  auto const d = static_cast<std::ptrdiff_t>(dx.extent(1));
  T const* const from = dy.data();
  T* const to = dx.data();
  DropoutFactors const factors(dropout.probability, dropout.site);
  if (!factors.active() && from == to) return;
  rows(
      exec, residual_backward_label, static_cast<std::ptrdiff_t>(dx.extent(0)),
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) {
        map_with_factors<Wide<T>>(
            team, factors, first_element(dropout, row, d), d,
            [](Wide<T> factor, T& target, T source) { target = static_cast<T>(source * factor); },
            Write(to + row * d), Read(from + row * d));
      });
}

template <class T>
void bias_dropout_add_layer_norm(ExecutionSpace const& exec, ConstMatrix<Wide<T>> branch,
                                 ConstVector<Wide<T>> bias, ConstMatrix<T> residual,
                                 DropoutRows const& dropout, ConstVector<Wide<T>> gamma,
                                 ConstVector<Wide<T>> beta, Wide<T> epsilon, Matrix<T> out, Matrix<T> y,
                                 Vector<Wide<T>> mean, Vector<Wide<T>> rstd) {
  auto const add = make_addition<T>(branch, bias, residual, dropout, out);
  auto const count = static_cast<std::ptrdiff_t>(out.extent(0));
  NormForward<T> const norm{gamma.data(), beta.data(), y.data(), mean.data(), rstd.data(), add.d, epsilon};
  with_held_packs<T>(held_packs<T>(add.d, is_aligned(add) && is_aligned(norm)),
                     [&](auto packs) { add_and_normalise<packs(), T>(exec, count, add, norm); });
}

#define TESSERA_INSTANTIATE(T)                                                                             \
  template void bias_dropout_add<T>(ExecutionSpace const&, ConstMatrix<Wide<T>>, ConstVector<Wide<T>>,     \
                                    ConstMatrix<T>, DropoutRows const&, Matrix<T>);                        \
  template void dropout_backward<T>(ExecutionSpace const&, ConstMatrix<T>, DropoutRows const&, Matrix<T>); \
  template void bias_dropout_add_layer_norm<T>(ExecutionSpace const&, ConstMatrix<Wide<T>>,                \
                                               ConstVector<Wide<T>>, ConstMatrix<T>, DropoutRows const&,   \
                                               ConstVector<Wide<T>>, ConstVector<Wide<T>>, Wide<T>,        \
                                               Matrix<T>, Matrix<T>, Vector<Wide<T>>, Vector<Wide<T>>);
TESSERA_FOR_COMPUTE_TYPES(TESSERA_INSTANTIATE)

}  // namespace tessera::kernels
