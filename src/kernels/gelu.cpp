// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/gelu.hpp"

#include "tessera/kernels/launch.hpp"
#include "tessera/kernels/math.hpp"

namespace tessera::kernels {

namespace {

std::string const gelu_forward_label = "tessera::kernels::bias_gelu_forward";
std::string const gelu_backward_label = "tessera::kernels::gelu_backward";

inline constexpr double root_two_over_pi = 0.79788456080286535588;
inline constexpr double cubic = 0.044715;

/// exp(-2u), u = sqrt(2/pi) (x + 0.044715 x^3). With it (1 + tanh(u)) / 2 = 1 / (1 + exp(-2u)): one exp and
/// one division, and no cancellation for negative x.
template <class T>
KOKKOS_INLINE_FUNCTION T exp_minus_two_u(T x) {
  return math::exp(T(-2 * root_two_over_pi) * x * math::fma(T(cubic) * x, x, T(1)));
}

template <class T>
KOKKOS_INLINE_FUNCTION T gelu(T x) {
  return x * math::reciprocal(T(1) + exp_minus_two_u(x));
}

/// s + x s (1 - s) d(2u)/dx with s = 1 / (1 + e), 1 - s = e s (where e is so large that s is 0, any finite
/// number).
template <class T>
KOKKOS_INLINE_FUNCTION T gelu_slope(T x) {
  T const e = exp_minus_two_u(x);
  T const s = math::reciprocal(T(1) + e);
  T const rest = e < T(1e30) ? e * s : T(1);
  T const slope_of_two_u = T(2 * root_two_over_pi) * math::fma(T(3 * cubic) * x, x, T(1));
  return math::fma(x * slope_of_two_u, s * rest, s);
}

}  // namespace

template <class T>
void bias_gelu_forward(ExecutionSpace const& exec, Matrix<T> pre, ConstVector<Wide<T>> bias, Matrix<T> out) {
  auto const width = static_cast<std::ptrdiff_t>(pre.extent(1));
  T* const before = pre.data();
  Wide<T> const* const b = bias.data();
  T* const after = out.data();
  rows(
      exec, gelu_forward_label, static_cast<std::ptrdiff_t>(pre.extent(0)),
      KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t row) {
        team.map(
            width,
            [](T& x, T& result, Wide<T> shift) {
              x = static_cast<T>(x + shift);
              result = static_cast<T>(gelu<Wide<T>>(x));
            },
            Update(before + row * width), Write(after + row * width), Read(b));
      });
}

template <class T>
void gelu_backward(ExecutionSpace const& exec, ConstMatrix<T> dout, ConstMatrix<T> pre, Matrix<T> dpre) {
  T const* const slope = dout.data();
  T const* const before = pre.data();
  T* const result = dpre.data();
  map_elements(
      exec, gelu_backward_label, static_cast<std::ptrdiff_t>(pre.size()),
      KOKKOS_LAMBDA(T & dx, T dy, T x) { dx = static_cast<T>(dy * gelu_slope<Wide<T>>(x)); }, Write(result),
      Read(slope), Read(before));
}

#define TESSERA_INSTANTIATE(T)                                                                           \
  template void bias_gelu_forward<T>(ExecutionSpace const&, Matrix<T>, ConstVector<Wide<T>>, Matrix<T>); \
  template void gelu_backward<T>(ExecutionSpace const&, ConstMatrix<T>, ConstMatrix<T>, Matrix<T>);
TESSERA_FOR_COMPUTE_TYPES(TESSERA_INSTANTIATE)

}  // namespace tessera::kernels
