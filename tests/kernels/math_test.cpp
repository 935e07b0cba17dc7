// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/math.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <vector>

namespace tessera::kernels {

namespace {

/// Distance of `value` from the exact result in units of the last place of T.
template <class T>
double ulps(T value, long double exact) {
  T const rounded = static_cast<T>(exact);
  if (value == rounded) return 0;
  T const next = std::nextafter(std::abs(rounded), std::numeric_limits<T>::infinity());
  long double const unit = static_cast<long double>(next) - std::abs(static_cast<long double>(rounded));
  return static_cast<double>(std::abs(static_cast<long double>(value) - exact) / unit);
}

/// The largest error of f over a fixed sample of [low, high].
template <class T, class F, class Exact>
double worst_ulps(F const& f, Exact const& exact, double low, double high, int samples = 400000) {
  std::mt19937_64 engine(7);
  std::uniform_real_distribution<double> draw(low, high);
  double worst = 0;
  for (int i = 0; i < samples; ++i) {
    T const x = static_cast<T>(draw(engine));
    worst = std::max(worst, ulps<T>(f(x), exact(static_cast<long double>(x))));
  }
  return worst;
}

template <class T>
class MathTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(MathTest, Types);

template <class T>
constexpr bool single = std::is_same_v<T, float>;

long double exact_exp(long double x) { return std::exp(x); }
long double exact_log(long double x) { return std::log(x); }
long double exact_tanh(long double x) { return std::tanh(x); }
long double exact_erf(long double x) { return std::erf(x); }

TYPED_TEST(MathTest, ExpIsWithinItsStatedError) {
  using T = TypeParam;
  auto const f = [](T x) { return math::exp(x); };
  EXPECT_LE(worst_ulps<T>(f, exact_exp, -1, 1), 1.5);
  EXPECT_LE(worst_ulps<T>(f, exact_exp, single<T> ? -87 : -708, single<T> ? 88.7 : 709.7), 1.5);
}

TYPED_TEST(MathTest, ExpOfSubnormalResultsIsWithinItsStatedError) {
  using T = TypeParam;
  auto const f = [](T x) { return math::exp(x); };
  EXPECT_LE(worst_ulps<T>(f, exact_exp, single<T> ? -104 : -745, single<T> ? -87 : -708), 1.5);
}

TYPED_TEST(MathTest, LogIsWithinItsStatedError) {
  using T = TypeParam;
  auto const f = [](T x) { return math::log(x); };
  EXPECT_LE(worst_ulps<T>(f, exact_log, 0.5, 2), 1.0);
  EXPECT_LE(worst_ulps<T>(f, exact_log, 1e-6, 1e-3), 1.0);
  EXPECT_LE(worst_ulps<T>(f, exact_log, 1, 1e6), 1.0);
  EXPECT_LE(ulps<T>(math::log(std::numeric_limits<T>::denorm_min()),
                    exact_log(std::numeric_limits<T>::denorm_min())),
            1.0);
}

TYPED_TEST(MathTest, TanhIsWithinItsStatedError) {
  using T = TypeParam;
  auto const f = [](T x) { return math::tanh(x); };
  EXPECT_LE(worst_ulps<T>(f, exact_tanh, -1e-3, 1e-3), 2.5);
  EXPECT_LE(worst_ulps<T>(f, exact_tanh, -1, 1), 2.5);
  EXPECT_LE(worst_ulps<T>(f, exact_tanh, -30, 30), 2.5);
}

TYPED_TEST(MathTest, ErfIsWithinItsStatedError) {
  using T = TypeParam;
  auto const f = [](T x) { return math::erf(x); };
  double const allowed = single<T> ? 2.5 : 4.5;
  EXPECT_LE(worst_ulps<T>(f, exact_erf, -1e-3, 1e-3), allowed);
  EXPECT_LE(worst_ulps<T>(f, exact_erf, -1.2, 1.2), allowed);
  EXPECT_LE(worst_ulps<T>(f, exact_erf, -8, 8), allowed);
}

TYPED_TEST(MathTest, RsqrtIsWithinItsStatedError) {
  using T = TypeParam;
  auto const f = [](T x) { return math::rsqrt(x); };
  EXPECT_LE(worst_ulps<T>(
                f, [](long double x) { return 1 / std::sqrt(x); }, 1e-9, 1e3),
            1.5);
}

TYPED_TEST(MathTest, LimitsAreThoseOfTheStandardLibrary) {
  using T = TypeParam;
  T const infinity = std::numeric_limits<T>::infinity();
  T const nan = std::numeric_limits<T>::quiet_NaN();
  EXPECT_EQ(math::exp(infinity), infinity);
  EXPECT_EQ(math::exp(-infinity), T(0));
  EXPECT_EQ(math::exp(T(1000)), infinity);
  EXPECT_EQ(math::exp(T(-1000)), T(0));
  EXPECT_EQ(math::exp(T(0)), T(1));
  EXPECT_TRUE(std::isnan(math::exp(nan)));
  EXPECT_EQ(math::log(T(0)), -infinity);
  EXPECT_EQ(math::log(infinity), infinity);
  EXPECT_EQ(math::log(T(1)), T(0));
  EXPECT_TRUE(std::isnan(math::log(T(-1))));
  EXPECT_TRUE(std::isnan(math::log(nan)));
  EXPECT_EQ(math::tanh(infinity), T(1));
  EXPECT_EQ(math::tanh(-infinity), T(-1));
  EXPECT_TRUE(std::isnan(math::tanh(nan)));
  EXPECT_EQ(math::erf(infinity), T(1));
  EXPECT_EQ(math::erf(-infinity), T(-1));
  EXPECT_TRUE(std::isnan(math::erf(nan)));
}

TEST(CosineSineTest, DiffersFromTheExactByNoMoreThanRounding) {
  long double const two_pi = 2 * std::acos(-1.0L);
  for (int i = 0; i <= 400000; ++i) {
    double const turns = i / 400000.0;
    auto const [cosine, sine] = math::cosine_sine_of_turns(turns);
    EXPECT_NEAR(cosine, static_cast<double>(std::cos(two_pi * turns)), 3e-16) << turns;
    EXPECT_NEAR(sine, static_cast<double>(std::sin(two_pi * turns)), 3e-16) << turns;
  }
}

}  // namespace

}  // namespace tessera::kernels
