// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Vector registers of the host, for the products of this room only: everything else is left to the compiler's
// own vectoriser. An element of a vector sees the same operations whatever the width, so the width changes no
// bits.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
#include <immintrin.h>
#endif

namespace tessera::kernels::simd {

#if defined(__AVX512F__)
inline constexpr std::size_t vector_bytes = 64;
#elif defined(__AVX__)
inline constexpr std::size_t vector_bytes = 32;
#else
inline constexpr std::size_t vector_bytes = 16;
#endif

template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(vector_bytes)));
};
template <class T>
using Vec = typename VectorOf<T>::type;

/// Elements of a vector.
template <class T>
inline constexpr int width = static_cast<int>(vector_bytes / sizeof(T));

template <class T>
[[gnu::always_inline]] inline Vec<T> load(T const* from) {
  Vec<T> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
template <class T>
[[gnu::always_inline]] inline void store(T* to, Vec<T> const& v) {
  std::memcpy(to, &v, sizeof v);
}

/// Every element x (x - 0 is x for every x, so this is one instruction; x + 0 would not be).
template <class T>
[[gnu::always_inline]] inline Vec<T> broadcast(T x) {
  return x - Vec<T>{};
}

/// acc = a * b + acc, each element with one rounding.
template <class T>
[[gnu::always_inline]] inline void fma_into(Vec<T> const& a, Vec<T> const& b, Vec<T>& acc) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    acc = (Vec<T>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)acc);
  } else {
    acc = (Vec<T>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)acc);
  }
#elif defined(__AVX2__) && defined(__FMA__)
  if constexpr (sizeof(T) == 4) {
    acc = (Vec<T>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)acc);
  } else {
    acc = (Vec<T>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)acc);
  }
#else
  for (int l = 0; l < width<T>; ++l) acc[l] = std::fma(a[l], b[l], acc[l]);
#endif
}

/// The 64-bit products of the low 32 bits of each lane.
[[gnu::always_inline]] inline Vec<std::uint64_t> product_of_low_words(Vec<std::uint64_t> const& a,
                                                                      Vec<std::uint64_t> const& b) {
#if defined(__AVX512F__)
  return (Vec<std::uint64_t>)_mm512_maskz_mul_epu32(0xFF, (__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (Vec<std::uint64_t>)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#else
  return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);
#endif
}

/// v with neighbours at distance `distance` (a power of two) exchanged.
template <int distance, class T, int... lane>
[[gnu::always_inline]] inline Vec<T> exchanged(Vec<T> const& v, std::integer_sequence<int, lane...>) {
#if defined(__CUDACC__)  // whose front end loses the pack; where it compiles, kernels run on a device
  Vec<T> result;
  ((result[lane] = v[lane ^ distance]), ...);
  return result;
#else
  return __builtin_shufflevector(v, v, (lane ^ distance)...);
#endif
}

/// The largest element; which of equals does not matter.
template <class T, int distance = width<T> / 2>
[[gnu::always_inline]] inline T largest(Vec<T> const& v) {
  if constexpr (distance == 0) {
    return v[0];
  } else {
    Vec<T> const other = exchanged<distance, T>(v, std::make_integer_sequence<int, width<T>>{});
    return largest<T, distance / 2>(v < other ? other : v);
  }
}

}  // namespace tessera::kernels::simd
