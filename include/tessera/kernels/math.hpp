// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Elementary functions for kernels: branch-free polynomials, so that a loop over them becomes vector code and
// the bits of an element never depend on whether it fell into a vector or into the scalar end of a loop. They
// exist once here and kernels use no others (rule 4 of docs/numerics.md).
//
// Method: exp and expm1 reduce by multiples of ln 2 with ln 2 in two parts (Cody and Waite, "Software Manual
// for the Elementary Functions", 1980); log uses the series in s = f / (2 + f) of the same book; tanh is
// expm1(2x) / (expm1(2x) + 2); erf is x P(x^2) up to 1 and 1 - exp(-Q(x)) beyond. The coefficients are
// near-minimax (Chebyshev) fits made in 60-digit arithmetic. Largest errors, tested against long double over
// the whole range:
//
//            exp   log   tanh  erf   rsqrt   (units in the last place)
//   float    1.5   1.0   2.5   2.5   1.5
//   double   1.5   1.0   2.5   4.5   1.5
//
// Infinities, NaN and subnormal results of exp and log are as in the standard library. On a GPU float's exp
// and reciprocal stand on the processor's own; bits are not promised between host and GPU.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "tessera/base/kokkos.hpp"
#include "tessera/base/wide.hpp"

namespace tessera::kernels::math {

/// a * b + c with one rounding.
KOKKOS_INLINE_FUNCTION float fma(float a, float b, float c) { return std::fma(a, b, c); }
KOKKOS_INLINE_FUNCTION double fma(double a, double b, double c) { return std::fma(a, b, c); }

namespace detail {

/// The unsigned integer of T's size, and the layout of T.
template <class T>
struct Layout;
template <>
struct Layout<float> {
  using Bits = std::uint32_t;
  using Signed = std::int32_t;
  static constexpr int mantissa = 23;
  static constexpr int bias = 127;
};
template <>
struct Layout<double> {
  using Bits = std::uint64_t;
  using Signed = std::int64_t;
  static constexpr int mantissa = 52;
  static constexpr int bias = 1023;
};

template <class To, class From>
KOKKOS_INLINE_FUNCTION To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(To));
  return to;
}

/// 2^n for n in the range of normal numbers.
template <class T>
KOKKOS_INLINE_FUNCTION T power_of_two(typename Layout<T>::Signed n) {
  using Bits = typename Layout<T>::Bits;
  return same_bits<T>(static_cast<Bits>(n + Layout<T>::bias) << Layout<T>::mantissa);
}

/// c + x (next + x (...)).
template <class T>
KOKKOS_INLINE_FUNCTION T horner(T, T c) {
  return c;
}
template <class T, class... Rest>
KOKKOS_INLINE_FUNCTION T horner(T x, T c, Rest... rest) {
  return fma(x, horner(x, rest...), c);
}

/// Constants of the reduction x = n ln 2 + r: 1 / ln 2, ln 2 in two parts, and 1.5 * 2^mantissa, whose
/// addition rounds to an integer and leaves it in the low bits.
template <class T>
struct Ln2;
template <>
struct Ln2<float> {
  static constexpr float inverse = 1.44269504f, high = 0.693145751953125f, low = 1.42860682e-6f;
  static constexpr float rounder = 12582912.0f;
};
template <>
struct Ln2<double> {
  static constexpr double inverse = 1.4426950408889634074, high = 0.69314718036912381649;
  static constexpr double low = 1.9082149292705877706e-10;
  static constexpr double rounder = 6755399441055744.0;
};

/// (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2.
KOKKOS_INLINE_FUNCTION float exp_tail(float r) {
  return horner(r, 0.5f, 0.1666657699f, 0.04166655462f, 0.008363179053f, 0.001392618359f);
}
KOKKOS_INLINE_FUNCTION double exp_tail(double r) {
  return horner(r, 0.5, 0.16666666666666670991, 0.041666666666666669755, 0.0083333333333261351258,
                0.0013888888888883748305, 0.00019841269874820625271, 0.000024801587325547741216,
                2.755725540020642443e-6, 2.7557273643110295328e-7, 2.5105217004720745164e-8,
                2.0914686968086877233e-9);
}

/// e^r - 1 and n of x = n ln 2 + r.
template <class T>
struct Reduced {
  T expm1;
  typename Layout<T>::Signed n;
};

template <class T>
KOKKOS_INLINE_FUNCTION Reduced<T> reduce_exp(T x) {
  using Bits = typename Layout<T>::Bits;
  using Signed = typename Layout<T>::Signed;
  T const shifted = fma(x, Ln2<T>::inverse, Ln2<T>::rounder);
  T const n = shifted - Ln2<T>::rounder;
  T const r = fma(-n, Ln2<T>::low, fma(-n, Ln2<T>::high, x));
  Bits const whole = same_bits<Bits>(shifted) - same_bits<Bits>(Ln2<T>::rounder);
  return {fma(r * r, exp_tail(r), r), static_cast<Signed>(whole)};
}

/// x kept within [low, high]; NaN stays.
template <class T>
KOKKOS_INLINE_FUNCTION T clamp(T x, T low, T high) {
  T const y = x < low ? low : x;
  return y > high ? high : y;
}

/// log((1+s)/(1-s)) = 2 s + s z L(z), z = s^2.
KOKKOS_INLINE_FUNCTION float log_tail(float z) {
  return horner(z, 0.6666666655f, 0.4000012221f, 0.2855077863f, 0.2333161447f);
}
KOKKOS_INLINE_FUNCTION double log_tail(double z) {
  return horner(z, 0.66666666666666666463, 0.40000000000000883236, 0.28571428570799785031,
                0.22222222392581045097, 0.18181795547521136235, 0.15386244737621666606,
                0.13268638369266823879, 0.1308803485092755383);
}

/// erf(x) / x - 1 as a function of x^2, |x| <= 1.
KOKKOS_INLINE_FUNCTION float erf_near(float z) {
  return horner(z, 0.1283791658f, -0.3761262667f, 0.1128359472f, -0.02685421201f, 0.005189087423f,
                -0.0008016864287f, 7.875875063e-5f);
}
KOKKOS_INLINE_FUNCTION double erf_near(double z) {
  return horner(z, 0.12837916709551257377, -0.37612638903183748056, 0.11283791670954878666,
                -0.026866170645076793248, 0.0052239776248180144673, -0.00085483269808337899052,
                0.00012055331111642710923, -0.000014925595266831181565, 1.6461000484121368033e-6,
                -1.6350312701054695011e-7, 1.4659775274047435814e-8, -1.137284885679167367e-9,
                5.9571761477489114044e-11);
}

/// -log(erfc(x)), 1 <= x <= 4 (float) or 6 (double).
KOKKOS_INLINE_FUNCTION float erf_far(float x) {
  return horner(x - 2.5f, 7.806815605f, 5.352680732f, 0.9438890081f, 0.01085834415f, -0.002154902972f,
                0.0004202935311f, -8.467069079e-5f, 1.327236181e-5f);
}
KOKKOS_INLINE_FUNCTION double erf_far(double x) {
  return horner(x - 3.5, 14.112437402148174029, 7.2660995883651908824, 0.96675305474221758249,
                0.0052256582219399812976, -0.00087368732354521095741, 0.00014729777489954873007,
                -0.000024386373823313103346, 3.8895571553251792646e-6, -5.856139032767790938e-7,
                8.0693032400069654632e-8, -9.5320609471550062256e-9, 7.7489493826231496864e-10,
                2.5027567470717578531e-11, -3.0651854734379611722e-11, 9.0945681535273903479e-12,
                -2.0554075993038623177e-12, 4.1568031971878564854e-13, -6.7032480876152191032e-14,
                5.2529946716340728966e-15, -5.5078692024683030711e-16, 4.1375063538440009365e-16,
                -1.8647709480120565429e-17, -3.16999709354352598e-17, 5.0381750908202161481e-18);
}

#if defined(__CUDA_ARCH__)
/// exp by the device's own power of two, with log2(e) in two parts: within 3 units in the last place.
KOKKOS_INLINE_FUNCTION float exp_on_device(float x) {
  constexpr float log2_e = 1.44269502f, rest_of_log2_e = 1.925963e-8f, largest = 88.72283f;
  float const y = clamp(x, -104.0f, largest);
  float const power = y * log2_e;
  float const rest = fma(y, rest_of_log2_e, fma(y, log2_e, -power));
  float const e = std::exp2(power);
  float const value = fma(e * 0.693147182f, rest, e);
  return x > largest ? std::numeric_limits<float>::infinity() : value;
}
#endif

}  // namespace detail

/// 1 / x; on a device for float by its own reciprocal, within 2 units in the last place.
template <class T>
KOKKOS_INLINE_FUNCTION T reciprocal(T x) {
#if defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<T, float>) return __fdividef(1.0f, x);
#endif
  return T(1) / x;
}

template <class T>
KOKKOS_INLINE_FUNCTION T exp(T x) {
#if defined(__CUDA_ARCH__)
  if constexpr (std::is_same_v<T, float>) return detail::exp_on_device(x);
#endif
  constexpr bool single = std::is_same_v<T, float>;
  T const y = detail::clamp(x, single ? T(-104) : T(-746), single ? T(89) : T(710));
  auto const [expm1, n] = detail::reduce_exp(y);
  auto const half = n >> 1;
  return (T(1) + expm1) * detail::power_of_two<T>(half) * detail::power_of_two<T>(n - half);
}

/// e^x where results of 16 bits come of it: on a device its own power of two, within 1 + |x| / 2 units in the
/// last place of float; exp for other types T, and on a host.
template <class T>
KOKKOS_INLINE_FUNCTION Wide<T> exp_for(Wide<T> x) {
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(T) == 2) {
    float power;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x * 1.44269504f));
    return power;
  }
#endif
  return math::exp(x);
}

template <class T>
KOKKOS_INLINE_FUNCTION T tanh(T x) {
  T const magnitude = x < T(0) ? -x : x;
  T const limit = std::is_same_v<T, float> ? T(10) : T(22);
  auto const [expm1, n] = detail::reduce_exp(T(2) * (magnitude > limit ? limit : magnitude));
  T const scale = detail::power_of_two<T>(n);
  T const e = fma(scale, expm1, scale - T(1));
  T const y = e / (e + T(2));
  return std::copysign(y, x);
}

template <class T>
KOKKOS_INLINE_FUNCTION T erf(T x) {
  T const magnitude = x < T(0) ? -x : x;
  T const limit = std::is_same_v<T, float> ? T(4) : T(6);
  T const y = detail::clamp(magnitude, T(1), limit);
  T const far = std::copysign(T(1) - math::exp(-detail::erf_far(y)), x);
  T const near = fma(x, detail::erf_near(x * x), x);
  return magnitude > T(1) ? far : near;
}

/// Natural logarithm; -infinity at 0, NaN below.
template <class T>
KOKKOS_INLINE_FUNCTION T log(T x) {
  using Layout = detail::Layout<T>;
  using Bits = typename Layout::Bits;
  using Signed = typename Layout::Signed;
  constexpr T infinity = std::numeric_limits<T>::infinity();
  constexpr T lift = std::is_same_v<T, float> ? T(0x1p25) : T(0x1p54);
  bool const subnormal = x < std::numeric_limits<T>::min();
  T const normal = subnormal ? x * lift : x;
  Bits const root_half = detail::same_bits<Bits>(T(0.70710678118654752440));
  Bits const bits = detail::same_bits<Bits>(normal) - root_half;
  Signed const exponent = static_cast<Signed>(bits) >> Layout::mantissa;
  Bits const mantissa = (bits & ((Bits(1) << Layout::mantissa) - 1)) + root_half;
  T const k = static_cast<T>(exponent - (subnormal ? Signed(std::is_same_v<T, float> ? 25 : 54) : Signed(0)));
  T const f = detail::same_bits<T>(mantissa) - T(1);
  T const s = f / (T(2) + f);
  T const half_square = T(0.5) * f * f;
  T const z = s * s;
  T const tail = fma(s, fma(z, detail::log_tail(z), half_square), k * detail::Ln2<T>::low);
  T const y = fma(k, detail::Ln2<T>::high, f - (half_square - tail));
  T const positive = x < infinity ? y : x;
  T const below = x == T(0) ? -infinity : std::numeric_limits<T>::quiet_NaN();
  return x > T(0) ? positive : (x != x ? x : below);
}

/// 1 / sqrt(x).
template <class T>
KOKKOS_INLINE_FUNCTION T rsqrt(T x) {
  return T(1) / std::sqrt(x);
}

/// Cosine and sine of an angle given in turns, 0 <= turns <= 1: of 2 pi turns.
struct CosineSine {
  double cosine, sine;
};
KOKKOS_INLINE_FUNCTION CosineSine cosine_sine_of_turns(double turns) {
  double const shifted = turns * 4.0 + 0.5;
  auto const quarter = static_cast<std::int32_t>(shifted);
  double const f = turns - quarter * 0.25;
  double const z = f * f;
  double const s = f * detail::horner(z, 6.2831853071795864769, -41.341702240399760142, 81.605249276074930668,
                                      -76.70585975299812673, 42.058693928988783438, -15.094640403891545649,
                                      3.8197881201632114229, -0.71163580907816659965);
  double const c = detail::horner(z, 1.0, -19.739208802178717238, 64.93939402266829122,
                                  -85.456817206693549861, 60.244641371818104709, -26.426256772545437796,
                                  7.9035351947629579376, -1.7143161879285278382, 0.27945867147528962291);
  bool const swap = (quarter & 1) != 0;
  double const cosine = swap ? s : c;
  double const sine = swap ? c : s;
  return {((quarter + 1) & 2) != 0 ? -cosine : cosine, (quarter & 2) != 0 ? -sine : sine};
}

}  // namespace tessera::kernels::math
