// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/adamw.hpp"

#include <cmath>

#include "tessera/kernels/launch.hpp"
#include "tessera/kernels/math.hpp"

namespace tessera::kernels {

namespace {

std::string const label_adamw = "tessera::kernels::adamw";

/// What a step multiplies with, rounded once to T.
template <class T>
struct Constants {
  explicit Constants(AdamwStep const& s)
      : gradient_scale(static_cast<T>(s.gradient_scale)),
        beta1(static_cast<T>(s.beta1)),
        beta2(static_cast<T>(s.beta2)),
        rest1(static_cast<T>(1 - s.beta1)),
        rest2(static_cast<T>(1 - s.beta2)),
        keep(static_cast<T>(1 - s.learning_rate * s.weight_decay)),
        step_size(static_cast<T>(s.learning_rate / (1 - std::pow(s.beta1, static_cast<double>(s.step))))),
        root_scale(static_cast<T>(1 / std::sqrt(1 - std::pow(s.beta2, static_cast<double>(s.step))))),
        epsilon(static_cast<T>(s.epsilon)) {}

  T gradient_scale, beta1, beta2, rest1, rest2, keep, step_size, root_scale, epsilon;
};

}  // namespace

template <class T>
void adamw(ExecutionSpace const& exec, Vector<T> parameters, ConstVector<T> gradients, Vector<T> first_moment,
           Vector<T> second_moment, AdamwStep const& step) {
  Constants<T> const k(step);
  T* const parameter = parameters.data();
  T const* const gradient = gradients.data();
  T* const first = first_moment.data();
  T* const second = second_moment.data();
  map_elements(
      exec, label_adamw, static_cast<std::ptrdiff_t>(parameters.extent(0)),
      KOKKOS_LAMBDA(T & p, T & m, T & v, T slope) {
        T const g = slope * k.gradient_scale;
        m = math::fma(k.beta1, m, k.rest1 * g);
        v = math::fma(k.beta2, v, k.rest2 * (g * g));
        T const root = math::fma(std::sqrt(v), k.root_scale, k.epsilon);
        p = p * k.keep - k.step_size * (m / root);
      },
      Update(parameter), Update(first), Update(second), Read(gradient));
}

template void adamw<float>(ExecutionSpace const&, Vector<float>, ConstVector<float>, Vector<float>,
                           Vector<float>, AdamwStep const&);
template void adamw<double>(ExecutionSpace const&, Vector<double>, ConstVector<double>, Vector<double>,
                            Vector<double>, AdamwStep const&);

}  // namespace tessera::kernels
