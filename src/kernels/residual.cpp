// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/residual.hpp"

#include "kernels/layer_norm_row.hpp"

namespace tessera::kernels {

namespace {

std::string const label_add = "tessera::kernels::bias_dropout_add";
std::string const residual_backward_label = "tessera::kernels::dropout_backward";
std::string const label_add_norm = "tessera::kernels::bias_dropout_add_layer_norm";

/// The arrays of bias_dropout_add.
template <class T>
struct Addition {
  T const* branch;
  T const* bias;
  T const* residual;
  T* out;
  std::ptrdiff_t d;
  DropoutRows place;
  DropoutFactors factors;
};

template <class T>
Addition<T> make_addition(Matrix<T const> branch, Vector<T const> bias, Matrix<T const> residual,
                          DropoutRows const& dropout, Matrix<T> out) {
  return {branch.data(),
          bias.data(),
          residual.data(),
          out.data(),
          static_cast<std::ptrdiff_t>(out.extent(1)),
          dropout,
          DropoutFactors(dropout.probability, dropout.site)};
}

template <class T>
KOKKOS_INLINE_FUNCTION void add_row(RowTeam const& team, Addition<T> const& add, std::ptrdiff_t row) {
  std::ptrdiff_t const d = add.d;
  map_with_factors<T>(
      team, add.factors, first_element(add.place, row, d), d,
      [](T factor, T& out, T residual, T branch, T bias) { out = residual + (branch + bias) * factor; },
      Write(add.out + row * d), Read(add.residual + row * d), Read(add.branch + row * d), Read(add.bias));
}

}  // namespace

template <class T>
void bias_dropout_add(ExecutionSpace const& exec, ConstMatrix<T> branch, ConstVector<T> bias,
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
        map_with_factors<T>(
            team, factors, first_element(dropout, row, d), d,
            [](T factor, T& target, T source) { target = source * factor; }, Write(to + row * d),
            Read(from + row * d));
      });
}

template <class T>
void bias_dropout_add_layer_norm(ExecutionSpace const& exec, ConstMatrix<T> branch, ConstVector<T> bias,
                                 ConstMatrix<T> residual, DropoutRows const& dropout, ConstVector<T> gamma,
                                 ConstVector<T> beta, std::type_identity_t<T> epsilon, Matrix<T> out,
                                 Matrix<T> y, Vector<T> mean, Vector<T> rstd) {
  auto const add = make_addition<T>(branch, bias, residual, dropout, out);
  NormForward<T> const norm{gamma.data(), beta.data(), y.data(), mean.data(), rstd.data(), add.d, epsilon};
  rows(
      exec, label_add_norm, static_cast<std::ptrdiff_t>(out.extent(0)),
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) {
        add_row(team, add, row);
        team.barrier();
        normalise_row(team, norm, row, add.out + row * add.d);
      });
}

#define TESSERA_INSTANTIATE(T)                                                                             \
  template void bias_dropout_add<T>(ExecutionSpace const&, ConstMatrix<T>, ConstVector<T>, ConstMatrix<T>, \
                                    DropoutRows const&, Matrix<T>);                                        \
  template void dropout_backward<T>(ExecutionSpace const&, ConstMatrix<T>, DropoutRows const&, Matrix<T>); \
  template void bias_dropout_add_layer_norm<T>(                                                            \
      ExecutionSpace const&, ConstMatrix<T>, ConstVector<T>, ConstMatrix<T>, DropoutRows const&,           \
      ConstVector<T>, ConstVector<T>, T, Matrix<T>, Matrix<T>, Vector<T>, Vector<T>);
TESSERA_INSTANTIATE(float)
TESSERA_INSTANTIATE(double)

}  // namespace tessera::kernels
