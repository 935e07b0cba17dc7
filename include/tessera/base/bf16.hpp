// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Brain floating point: the upper half of a float, so its range with 8 significant bits. A type to store and
// to move, not one to compute in: it converts to float by itself and from float only where the code says so,
// and that is the one place where something is rounded.
#pragma once

#include <cstdint>
#include <cstring>

#include "tessera/base/kokkos.hpp"
#include "tessera/base/wide.hpp"

namespace tessera {

/// One number of 16 bits: sign, 8 bits of exponent (bias 127), 7 of mantissa. Uninitialised by default.
struct bf16 {
  std::uint16_t bits;

  bf16() = default;
  /// The nearest one, of two equally near ones the even; a NaN stays one.
  KOKKOS_INLINE_FUNCTION explicit bf16(float value) : bits(rounded(value)) {}
  KOKKOS_INLINE_FUNCTION operator float() const {
    std::uint32_t const word = static_cast<std::uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &word, sizeof value);
    return value;
  }

 private:
  // Branch-free integer operations on a host, so that a loop over elements becomes vector code.
  static KOKKOS_INLINE_FUNCTION std::uint16_t rounded(float value) {
#if defined(__CUDA_ARCH__)
    std::uint16_t result;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result) : "f"(value));
    return result;
#else
    std::uint32_t word;
    std::memcpy(&word, &value, sizeof word);
    std::uint32_t const nearest = (word + 0x7FFFu + ((word >> 16) & 1u)) >> 16;
    std::uint32_t const quiet = (word >> 16) | 0x40u;
    return static_cast<std::uint16_t>((word & 0x7FFFFFFFu) > 0x7F800000u ? quiet : nearest);
#endif
  }
};
static_assert(sizeof(bf16) == 2);

namespace detail {
template <>
struct WideOf<bf16> {
  using type = float;
};
}  // namespace detail

}  // namespace tessera
