// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/cross_entropy.hpp"

#include <limits>

#include "tessera/kernels/launch.hpp"
#include "tessera/kernels/math.hpp"

namespace tessera::kernels {

namespace {

std::string const label_max = "tessera::kernels::cross_entropy_max";
std::string const label_sums = "tessera::kernels::cross_entropy_sums";
std::string const label_loss = "tessera::kernels::cross_entropy_loss";
std::string const cross_entropy_backward_label = "tessera::kernels::cross_entropy_backward";

}  // namespace

template <class T>
void cross_entropy_max(ExecutionSpace const& exec, ConstMatrix<T> logits, std::int64_t valid_columns,
                       Vector<T> maximum, bool accumulate) {
  auto const width = static_cast<std::ptrdiff_t>(logits.extent(1));
  auto const valid = static_cast<std::ptrdiff_t>(valid_columns);
  T const* const from = logits.data();
  T* const result = maximum.data();
  rows(
      exec, label_max, static_cast<std::ptrdiff_t>(logits.extent(0)),
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) {
        T const* const line = from + row * width;
        constexpr T infinity = std::numeric_limits<T>::infinity();
        T const least = accumulate ? result[row] : -infinity;
        T const most = team.template max<T>(valid, least, [&](std::ptrdiff_t c) { return line[c]; });
        team.once([&] { result[row] = most; });
      });
}

template <class T>
void cross_entropy_sums(ExecutionSpace const& exec, ConstMatrix<T> logits, std::int64_t valid_columns,
                        ConstVector<T> maximum, Vector<std::int32_t const> targets, std::int64_t first_column,
                        Vector<T> sum_exp, Vector<T> target_logit) {
  auto const width = static_cast<std::ptrdiff_t>(logits.extent(1));
  auto const valid = static_cast<std::ptrdiff_t>(valid_columns);
  T const* const from = logits.data();
  rows(
      exec, label_sums, static_cast<std::ptrdiff_t>(logits.extent(0)),
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) {
        T const* const line = from + row * width;
        T const most = maximum(row);
        T const sum =
            team.template sum<T>(valid, [&](std::ptrdiff_t c) { return math::exp(line[c] - most); });
        std::int64_t const target = targets(row) - first_column;
        team.once([&] {
          sum_exp(row) = sum;
          target_logit(row) = target >= 0 && target < valid ? line[target] : T(0);
        });
      });
}

template <class T>
void cross_entropy_loss(ExecutionSpace const& exec, ConstVector<T> maximum, ConstVector<T> sum_exp,
                        ConstVector<T> target_logit, Vector<T> loss) {
  T const* const most = maximum.data();
  T const* const sum = sum_exp.data();
  T const* const target = target_logit.data();
  T* const result = loss.data();
  map_elements(
      exec, label_loss, static_cast<std::ptrdiff_t>(loss.extent(0)),
      KOKKOS_LAMBDA(T & x, T total, T largest, T logit) { x = math::log(total) + (largest - logit); },
      Write(result), Read(sum), Read(most), Read(target));
}

template <class T>
void cross_entropy_backward(ExecutionSpace const& exec, Matrix<T> logits, std::int64_t valid_columns,
                            ConstVector<T> maximum, ConstVector<T> sum_exp,
                            Vector<std::int32_t const> targets, std::int64_t first_column,
                            std::type_identity_t<T> scale) {
  auto const width = static_cast<std::ptrdiff_t>(logits.extent(1));
  auto const valid = static_cast<std::ptrdiff_t>(valid_columns);
  T* const to = logits.data();
  rows(
      exec, cross_entropy_backward_label, static_cast<std::ptrdiff_t>(logits.extent(0)),
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) {
        T* const line = to + row * width;
        T const most = maximum(row);
        T const factor = scale / sum_exp(row);
        team.map(valid, [&](T& x) { x = math::exp(x - most) * factor; }, Update(line));
        team.for_each(width - valid, [&](std::ptrdiff_t c) { line[valid + c] = T(0); });
        team.barrier();
        std::int64_t const target = targets(row) - first_column;
        team.once([&] {
          if (target >= 0 && target < valid) line[target] -= scale;
        });
      });
}

#define TESSERA_INSTANTIATE(T)                                                                               \
  template void cross_entropy_max<T>(ExecutionSpace const&, ConstMatrix<T>, std::int64_t, Vector<T>, bool);  \
  template void cross_entropy_sums<T>(ExecutionSpace const&, ConstMatrix<T>, std::int64_t, ConstVector<T>,   \
                                      Vector<std::int32_t const>, std::int64_t, Vector<T>, Vector<T>);       \
  template void cross_entropy_loss<T>(ExecutionSpace const&, ConstVector<T>, ConstVector<T>, ConstVector<T>, \
                                      Vector<T>);                                                            \
  template void cross_entropy_backward<T>(ExecutionSpace const&, Matrix<T>, std::int64_t, ConstVector<T>,    \
                                          ConstVector<T>, Vector<std::int32_t const>, std::int64_t, T);
TESSERA_INSTANTIATE(float)
TESSERA_INSTANTIATE(double)

}  // namespace tessera::kernels
