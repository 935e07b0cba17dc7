// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Half precision, IEEE 754's binary16: 11 significant bits from 2^-14 to 65504, fewer down to 2^-24. As bf16
// it is a type to store and to move, not one to compute in: it converts to float by itself and from float
// only where the code says so, and that is the one place where something is rounded.
#pragma once

#include <cstdint>
#include <cstring>

#include "tessera/base/kokkos.hpp"
#include "tessera/base/wide.hpp"

// The processor's conversions, where the compiler makes vector code of them: GCC 12 converts one by one.
#if defined(__F16C__) && defined(__clang__) && !defined(__CUDACC__)
#define TESSERA_F16_BY_PROCESSOR 1
#else
#define TESSERA_F16_BY_PROCESSOR 0
#endif

namespace tessera {

namespace detail {

template <class To, class From>
KOKKOS_INLINE_FUNCTION To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

// Branch-free, so that a loop over elements becomes vector code; the bits are those of the processor's.

/// The float that `bits` stand for, exactly; a NaN becomes a quiet one.
KOKKOS_INLINE_FUNCTION float f16_widened(std::uint16_t bits) {
  std::uint32_t const magnitude = static_cast<std::uint32_t>(bits & 0x7FFFu) << 13;
  // 2^-14 more than a subnormal number is a normal float with the same digits.
  std::uint32_t const subnormal =
      same_bits<std::uint32_t>(same_bits<float>(magnitude + 0x38800000u) - 0x1p-14f);
  std::uint32_t const normal = magnitude + 0x38000000u;
  std::uint32_t const special = magnitude | (magnitude > 0x0F800000u ? 0x7FC00000u : 0x7F800000u);
  std::uint32_t const finite = magnitude < 0x00800000u ? subnormal : normal;
  std::uint32_t const result = magnitude >= 0x0F800000u ? special : finite;
  return same_bits<float>(result | static_cast<std::uint32_t>(bits & 0x8000u) << 16);
}

/// The bits of the nearest one, of two equally near ones the even: infinity from 65520 on. A NaN stays one,
/// quiet, with the digits that there is room for.
KOKKOS_INLINE_FUNCTION std::uint16_t f16_rounded(float value) {
  std::uint32_t const word = same_bits<std::uint32_t>(value);
  std::uint32_t const magnitude = word & 0x7FFFFFFFu;
  // The last digit of 0.5 + x is worth 2^-24, as that of a subnormal number: the sum rounds.
  std::uint32_t const subnormal = same_bits<std::uint32_t>(same_bits<float>(magnitude) + 0.5f) - 0x3F000000u;
  std::uint32_t const normal = (magnitude - 0x38000000u + 0xFFFu + ((magnitude >> 13) & 1u)) >> 13;
  std::uint32_t const nan = 0x7E00u | (magnitude >> 13 & 0x3FFu);
  std::uint32_t const finite = magnitude < 0x38800000u ? subnormal : normal;
  std::uint32_t const number = magnitude >= 0x477FF000u ? 0x7C00u : finite;
  std::uint32_t const result = magnitude > 0x7F800000u ? nan : number;
  return static_cast<std::uint16_t>(result | (word >> 16 & 0x8000u));
}

}  // namespace detail

/// One number of 16 bits: sign, 5 bits of exponent (bias 15), 10 of mantissa. Uninitialised by default.
struct f16 {
  std::uint16_t bits;

  f16() = default;
  /// The nearest one, of two equally near ones the even, infinity where that is beyond 65504; a NaN stays
  /// one.
  KOKKOS_INLINE_FUNCTION explicit f16(float value) : bits(rounded(value)) {}
  KOKKOS_INLINE_FUNCTION operator float() const {
#if defined(__CUDA_ARCH__)
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
#elif TESSERA_F16_BY_PROCESSOR
    return static_cast<float>(detail::same_bits<_Float16>(bits));
#else
    return detail::f16_widened(bits);
#endif
  }

 private:
  static KOKKOS_INLINE_FUNCTION std::uint16_t rounded(float value) {
#if defined(__CUDA_ARCH__)
    std::uint16_t result;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result) : "f"(value));
    return result;
#elif TESSERA_F16_BY_PROCESSOR
    return detail::same_bits<std::uint16_t>(static_cast<_Float16>(value));
#else
    return detail::f16_rounded(value);
#endif
  }
};
static_assert(sizeof(f16) == 2);

namespace detail {
template <>
struct WideOf<f16> {
  using type = float;
};
}  // namespace detail

}  // namespace tessera
