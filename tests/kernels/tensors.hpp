// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Tensors for the tests of kernels: filled from a fixed seed, copied between float, double and views,
// compared.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include "kernels/reference/reference.hpp"
#include "tessera/base/views.hpp"
#include "tessera/kernels/dropout.hpp"

namespace tessera::kernels::test {

using reference::Tensor;

template <class T>
using Buffer = reference::Buffer<T>;

inline ExecutionSpace exec() { return {}; }

/// `count` numbers in [-scale, scale), rounded to float so that both compute types see the same values.
inline Tensor random_tensor(std::size_t count, unsigned seed, double scale = 1) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> draw(-1.0F, 1.0F);
  Tensor tensor(count);
  for (double& x : tensor) x = static_cast<float>(draw(engine) * scale);
  return tensor;
}

template <class T>
Buffer<T> as(Tensor const& tensor) {
  return {tensor.begin(), tensor.end()};
}

template <class T>
Tensor widened(Buffer<T> const& values) {
  return {values.begin(), values.end()};
}

template <class T>
Vector<T> vec(Buffer<T>& v) {
  return Vector<T>(v.data(), v.size());
}
template <class T>
Matrix<T> mat(Buffer<T>& v, std::size_t columns) {
  return Matrix<T>(v.data(), v.size() / columns, columns);
}

/// A tensor of zeros.
template <class T>
Buffer<T> zeros(std::size_t count) {
  return Buffer<T>(count, T(0));
}

/// Rounding of T times some operations: what an honest kernel may differ from the truth by, relative to
/// `size`.
template <class T>
double tolerance(double operations = 16) {
  return operations * std::numeric_limits<T>::epsilon();
}

/// Every element of `actual` within `allowed` of `expected`, relative to the larger of 1 and the expected
/// size.
template <class T>
void expect_near(Buffer<T> const& actual, Tensor const& expected, double allowed) {
  ASSERT_EQ(actual.size(), expected.size());
  double worst = 0;
  std::size_t where = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    double const error = std::abs(actual[i] - expected[i]) / std::max(1.0, std::abs(expected[i]));
    if (!(error <= worst)) {
      worst = error;
      where = i;
    }
  }
  EXPECT_LE(worst, allowed) << "element " << where << ": " << actual[where] << ", expected "
                            << expected[where];
  EXPECT_FALSE(std::isnan(worst));
}

/// Equal bits, so that -0 and +0 differ and NaN equals itself.
template <class T>
::testing::AssertionResult same_bits(Buffer<T> const& a, Buffer<T> const& b) {
  if (a.size() != b.size()) return ::testing::AssertionFailure() << a.size() << " elements and " << b.size();
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(T)) != 0) {
      return ::testing::AssertionFailure()
             << "element " << i << " of " << a.size() << ": " << a[i] << " and " << b[i];
    }
  }
  return ::testing::AssertionSuccess();
}

/// The dropout factor of every element of `count` from global index `first`, one number at a time.
inline Tensor factors_of(float probability, RandomSite const& site, std::uint64_t first, std::size_t count) {
  DropoutFactors const factors(probability, site);
  Tensor result(count, 1.0);
  for (std::size_t i = 0; i < count && factors.active(); ++i) {
    result[i] = factors.of<double>(site.bits(first + i));
  }
  return result;
}

/// Checks a gradient: moves x along a random direction and compares the change of `value` (central
/// differences) with gradient . direction. All in double.
inline void expect_gradient(Tensor const& x, Tensor const& gradient,
                            std::function<double(Tensor const&)> const& value, double allowed = 1e-8) {
  for (unsigned trial = 0; trial < 4; ++trial) {
    Tensor const direction = random_tensor(x.size(), 1000 + trial);
    double const h = 1e-5;
    Tensor ahead = x;
    Tensor behind = x;
    double expected = 0;
    double size = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      ahead[i] += h * direction[i];
      behind[i] -= h * direction[i];
      expected += gradient[i] * direction[i];
      size += std::abs(gradient[i] * direction[i]);
    }
    double const measured = (value(ahead) - value(behind)) / (2 * h);
    EXPECT_NEAR(measured, expected, allowed * std::max(1.0, size));
  }
}

/// a . b.
inline double dot(Tensor const& a, Tensor const& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// Kernels are tested in both compute types.
using ComputeTypes = ::testing::Types<float, double>;

}  // namespace tessera::kernels::test
