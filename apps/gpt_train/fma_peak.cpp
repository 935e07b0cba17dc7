// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "fma_peak.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>

#if defined(__AVX512F__) || defined(__FMA__)
#include <immintrin.h>
#endif

namespace gpt_train {

namespace {

#if defined(__AVX512F__)
using Lanes = __m512;
constexpr int width = 16;
constexpr std::string_view instructions = "AVX-512";
Lanes spread(float value) { return _mm512_set1_ps(value); }
Lanes multiply_add(Lanes a, Lanes b, Lanes c) { return _mm512_fmadd_ps(a, b, c); }
float first(Lanes a) { return _mm512_cvtss_f32(a); }
#elif defined(__FMA__)
using Lanes = __m256;
constexpr int width = 8;
constexpr std::string_view instructions = "AVX2";
Lanes spread(float value) { return _mm256_set1_ps(value); }
Lanes multiply_add(Lanes a, Lanes b, Lanes c) { return _mm256_fmadd_ps(a, b, c); }
float first(Lanes a) { return _mm256_cvtss_f32(a); }
#else
using Lanes = float;
constexpr int width = 1;
constexpr std::string_view instructions = "scalar";
Lanes spread(float value) { return value; }
Lanes multiply_add(Lanes a, Lanes b, Lanes c) { return std::fma(a, b, c); }
float first(Lanes a) { return a; }
#endif

constexpr std::int64_t rounds = 200'000;
constexpr int chains = 12;

/// Each chain begins elsewhere, so that the compiler cannot make one of them; all go to 1: x -> 0.5 x + 0.5.
float run_chains(float start) {
  Lanes const half = spread(0.5F);
  auto const from = [&](int chain) { return spread(start + static_cast<float>(chain)); };
  Lanes a = from(0), b = from(1), c = from(2), d = from(3), e = from(4), f = from(5);
  Lanes g = from(6), h = from(7), i = from(8), j = from(9), k = from(10), l = from(11);
  for (std::int64_t round = 0; round < rounds; ++round) {
    a = multiply_add(a, half, half), b = multiply_add(b, half, half), c = multiply_add(c, half, half);
    d = multiply_add(d, half, half), e = multiply_add(e, half, half), f = multiply_add(f, half, half);
    g = multiply_add(g, half, half), h = multiply_add(h, half, half), i = multiply_add(i, half, half);
    j = multiply_add(j, half, half), k = multiply_add(k, half, half), l = multiply_add(l, half, half);
  }
  float sum = 0;
  for (Lanes const chain : {a, b, c, d, e, f, g, h, i, j, k, l}) sum += first(chain);
  return sum;
}

}  // namespace

double measure_fma_flops() {
  double best_s = 1e30;
  float volatile sink = 0;
  for (int run = 0; run < 8; ++run) {
    auto const begin = std::chrono::steady_clock::now();
    sink = sink + run_chains(1.0F + static_cast<float>(run));
    std::chrono::duration<double> const passed = std::chrono::steady_clock::now() - begin;
    best_s = std::min(best_s, passed.count());
  }
  return 2.0 * width * chains * static_cast<double>(rounds) / best_s;
}

std::string_view fma_instructions() noexcept { return instructions; }

}  // namespace gpt_train
