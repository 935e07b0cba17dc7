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
                       Vector<Wide<T>> maximum, bool accumulate) {
  auto const width = static_cast<std::ptrdiff_t>(logits.extent(1));
  auto const valid = static_cast<std::ptrdiff_t>(valid_columns);
  T const* const from = logits.data();
  Wide<T>* const result = maximum.data();
  rows(
      exec, label_max, static_cast<std::ptrdiff_t>(logits.extent(0)),
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) {
        T const* const line = from + row * width;
        constexpr Wide<T> infinity = std::numeric_limits<Wide<T>>::infinity();
        Wide<T> const least = accumulate ? result[row] : -infinity;
        Wide<T> const most = team.template max_of<Wide<T>>(
            valid, least, [](T x) { return Wide<T>(x); }, Read(line));
        team.once([&] { result[row] = most; });
      });
}

template <class T>
void cross_entropy_sums(ExecutionSpace const& exec, ConstMatrix<T> logits, std::int64_t valid_columns,
                        ConstVector<Wide<T>> maximum, Vector<std::int32_t const> targets,
                        std::int64_t first_column, Vector<Wide<T>> sum_exp, Vector<Wide<T>> target_logit) {
  auto const width = static_cast<std::ptrdiff_t>(logits.extent(1));
  auto const valid = static_cast<std::ptrdiff_t>(valid_columns);
  T const* const from = logits.data();
  Wide<T> const* const most = maximum.data();
  std::int32_t const* const token = targets.data();
  Wide<T>* const sums = sum_exp.data();
  Wide<T>* const logit_of_target = target_logit.data();
  rows(
      exec, label_sums, static_cast<std::ptrdiff_t>(logits.extent(0)),
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) {
        T const* const line = from + row * width;
        Wide<T> const largest = most[row];
        Wide<T> const sum = team.template sum_of<Wide<T>>(
            valid, [&](T x) { return math::exp_for<T>(x - largest); }, Read(line));
        std::int64_t const target = token[row] - first_column;
        team.once([&] {
          sums[row] = sum;
          logit_of_target[row] =
              target >= 0 && target < valid ? static_cast<Wide<T>>(line[target]) : Wide<T>(0);
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
                            ConstVector<Wide<T>> maximum, ConstVector<Wide<T>> sum_exp,
                            Vector<std::int32_t const> targets, std::int64_t first_column, Wide<T> scale) {
  auto const width = static_cast<std::ptrdiff_t>(logits.extent(1));
  auto const valid = static_cast<std::ptrdiff_t>(valid_columns);
  T* const to = logits.data();
  Wide<T> const* const largest = maximum.data();
  Wide<T> const* const sums = sum_exp.data();
  std::int32_t const* const token = targets.data();
  rows(
      exec, cross_entropy_backward_label, static_cast<std::ptrdiff_t>(logits.extent(0)),
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) {
        T* const line = to + row * width;
        Wide<T> const most = largest[row];
        Wide<T> const factor = scale / sums[row];
        std::int64_t const target = token[row] - first_column;
        bool const own = target >= 0 && target < valid;
        Wide<T> const logit = own ? Wide<T>(line[target]) : Wide<T>(0);
        team.barrier();
        team.map(
            valid, [&](T& x) { x = static_cast<T>(math::exp_for<T>(x - most) * factor); }, Update(line));
        team.for_each(width - valid, [&](std::ptrdiff_t c) { line[valid + c] = T(0); });
        team.barrier();
        team.once([&] {
          if (own) line[target] = static_cast<T>(math::exp_for<T>(logit - most) * factor - scale);
        });
      });
}

#define TESSERA_INSTANTIATE(T)                                                                             \
  template void cross_entropy_max<T>(ExecutionSpace const&, ConstMatrix<T>, std::int64_t, Vector<Wide<T>>, \
                                     bool);                                                                \
  template void cross_entropy_sums<T>(ExecutionSpace const&, ConstMatrix<T>, std::int64_t,                 \
                                      ConstVector<Wide<T>>, Vector<std::int32_t const>, std::int64_t,      \
                                      Vector<Wide<T>>, Vector<Wide<T>>);                                   \
  template void cross_entropy_backward<T>(ExecutionSpace const&, Matrix<T>, std::int64_t,                  \
                                          ConstVector<Wide<T>>, ConstVector<Wide<T>>,                      \
                                          Vector<std::int32_t const>, std::int64_t, Wide<T>);
TESSERA_FOR_COMPUTE_TYPES(TESSERA_INSTANTIATE)

template void cross_entropy_loss<float>(ExecutionSpace const&, ConstVector<float>, ConstVector<float>,
                                        ConstVector<float>, Vector<float>);
template void cross_entropy_loss<double>(ExecutionSpace const&, ConstVector<double>, ConstVector<double>,
                                         ConstVector<double>, Vector<double>);

}  // namespace tessera::kernels
