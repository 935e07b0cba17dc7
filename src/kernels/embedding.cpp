// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/embedding.hpp"

namespace tessera::kernels {

namespace {

std::string const embedding_forward_label = "tessera::kernels::embedding_forward";
std::string const embedding_backward_label = "tessera::kernels::embedding_backward";
std::string const label_position_forward = "tessera::kernels::position_forward";
std::string const label_position_backward = "tessera::kernels::position_backward";

/// Columns of the table that one team owns in the scatter-add.
constexpr std::ptrdiff_t owned_columns = runs_on_host ? 1024 : sum_lanes;

}  // namespace

template <class T>
void embedding_forward(ExecutionSpace const& exec, Vector<std::int32_t const> tokens, ConstMatrix<T> table,
                       std::int64_t first_row, Matrix<T> out, bool accumulate) {
  auto const d = static_cast<std::ptrdiff_t>(out.extent(1));
  auto const held = static_cast<std::int64_t>(table.extent(0));
  T const* const from = table.data();
  T* const to = out.data();
  rows(
      exec, embedding_forward_label, static_cast<std::ptrdiff_t>(out.extent(0)),
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) {
        std::int64_t const index = tokens(row) - first_row;
        T* const line = to + row * d;
        if (index < 0 || index >= held) {
          team.for_each(d, [&](std::ptrdiff_t c) { line[c] = accumulate ? line[c] + T(0) : T(0); });
        } else {
          T const* const entry = from + index * d;
          team.for_each(d, [&](std::ptrdiff_t c) { line[c] = (accumulate ? line[c] : T(0)) + entry[c]; });
        }
      });
}

template <class T>
void embedding_backward(ExecutionSpace const& exec, Vector<std::int32_t const> tokens, ConstMatrix<T> dy,
                        std::int64_t first_row, Matrix<T> dtable) {
  auto const d = static_cast<std::ptrdiff_t>(dy.extent(1));
  auto const n = static_cast<std::ptrdiff_t>(dy.extent(0));
  auto const held = static_cast<std::int64_t>(dtable.extent(0));
  T const* const from = dy.data();
  T* const to = dtable.data();
  rows(
      exec, embedding_backward_label, (d + owned_columns - 1) / owned_columns,
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t block) {
        std::ptrdiff_t const column = block * owned_columns;
        std::ptrdiff_t const count = d - column < owned_columns ? d - column : owned_columns;
        for (std::ptrdiff_t row = 0; row < n; ++row) {
          std::int64_t const index = tokens(row) - first_row;
          if (index < 0 || index >= held) continue;
          T const* const slope = from + row * d + column;
          T* const entry = to + index * d + column;
          team.for_each(count, [&](std::ptrdiff_t c) { entry[c] += slope[c]; });
        }
      });
}

template <class T>
void position_forward(ExecutionSpace const& exec, Matrix<T> x, ConstMatrix<T> table,
                      std::int64_t first_position, std::int64_t batch, DropoutRows const& dropout) {
  auto const d = static_cast<std::ptrdiff_t>(x.extent(1));
  T* const to = x.data();
  T const* const from = table.data();
  DropoutFactors const factors(dropout.probability, dropout.site);
  rows(
      exec, label_position_forward, static_cast<std::ptrdiff_t>(x.extent(0)),
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) {
        T* const line = to + row * d;
        T const* const entry = from + (first_position + row / batch) * d;
        with_factors<T>(team, factors, first_element(dropout, row, d), d,
                        [&](std::ptrdiff_t c, T factor) { line[c] = (line[c] + entry[c]) * factor; });
      });
}

template <class T>
void position_backward(ExecutionSpace const& exec, ConstMatrix<T> dx, std::int64_t first_position,
                       std::int64_t batch, Matrix<T> dtable) {
  auto const d = static_cast<std::ptrdiff_t>(dx.extent(1));
  T const* const from = dx.data();
  T* const to = dtable.data();
  rows(
      exec, label_position_backward, static_cast<std::ptrdiff_t>(dx.extent(0)) / batch,
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t position) {
        T* const entry = to + (first_position + position) * d;
        T const* const slopes = from + position * batch * d;
        team.for_each(d, [&](std::ptrdiff_t c) {
          T sum = slopes[c];
          for (std::int64_t b = 1; b < batch; ++b) sum += slopes[b * d + c];
          entry[c] += sum;
        });
      });
}

#define TESSERA_INSTANTIATE(T)                                                                           \
  template void embedding_forward<T>(ExecutionSpace const&, Vector<std::int32_t const>, ConstMatrix<T>,  \
                                     std::int64_t, Matrix<T>, bool);                                     \
  template void embedding_backward<T>(ExecutionSpace const&, Vector<std::int32_t const>, ConstMatrix<T>, \
                                      std::int64_t, Matrix<T>);                                          \
  template void position_forward<T>(ExecutionSpace const&, Matrix<T>, ConstMatrix<T>, std::int64_t,      \
                                    std::int64_t, DropoutRows const&);                                   \
  template void position_backward<T>(ExecutionSpace const&, ConstMatrix<T>, std::int64_t, std::int64_t,  \
                                     Matrix<T>);
TESSERA_INSTANTIATE(float)
TESSERA_INSTANTIATE(double)

}  // namespace tessera::kernels
