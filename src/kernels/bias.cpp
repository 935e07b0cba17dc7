// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/bias.hpp"

#include "kernels/columns.hpp"

namespace tessera::kernels {

namespace {

std::string const label_add_bias = "tessera::kernels::add_bias";
std::string const label_column_sums = "tessera::kernels::column_sums";

template <class T>
void sum_columns(ExecutionSpace const& exec, Matrix<T const> x, Wide<T>* out, std::ptrdiff_t tiles,
                 bool accumulate) {
  auto const width = static_cast<std::ptrdiff_t>(x.extent(1));
  T const* const from = x.data();
  columns::Sums<Wide<T>, 1> const sums{
      {out}, tiles, static_cast<std::ptrdiff_t>(x.extent(0)) / tiles, width, accumulate};
  columns::sum(
      exec, label_column_sums, sums,
      KOKKOS_LAMBDA(std::ptrdiff_t, Wide<T>(&value)[1], T element) { value[0] = element; }, Read(from));
}

}  // namespace

template <class T>
void add_bias(ExecutionSpace const& exec, Matrix<T> x, ConstVector<Wide<T>> bias) {
  auto const width = static_cast<std::ptrdiff_t>(x.extent(1));
  T* const to = x.data();
  Wide<T> const* const b = bias.data();
  rows(
      exec, label_add_bias, static_cast<std::ptrdiff_t>(x.extent(0)),
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) {
        team.map(
            width, [](T& value, Wide<T> shift) { value = static_cast<T>(value + shift); },
            Update(to + row * width), Read(b));
      });
}

template <class T>
void column_sums(ExecutionSpace const& exec, ConstMatrix<T> x, Vector<Wide<T>> out, bool accumulate) {
  sum_columns<T>(exec, x, out.data(), 1, accumulate);
}

template <class T>
void column_sums_by_tile(ExecutionSpace const& exec, ConstMatrix<T> x, Matrix<Wide<T>> out, bool accumulate) {
  sum_columns<T>(exec, x, out.data(), static_cast<std::ptrdiff_t>(out.extent(0)), accumulate);
}

#define TESSERA_INSTANTIATE(T)                                                                \
  template void add_bias<T>(ExecutionSpace const&, Matrix<T>, ConstVector<Wide<T>>);          \
  template void column_sums<T>(ExecutionSpace const&, ConstMatrix<T>, Vector<Wide<T>>, bool); \
  template void column_sums_by_tile<T>(ExecutionSpace const&, ConstMatrix<T>, Matrix<Wide<T>>, bool);
TESSERA_FOR_COMPUTE_TYPES(TESSERA_INSTANTIATE)

}  // namespace tessera::kernels
