// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/dropout.hpp"

#include <cstring>

#include "kernels/simd.hpp"

namespace tessera::kernels {

namespace {

constexpr int blocks = dropout_chunk / 4;
constexpr std::uint64_t low_word = 0xFFFFFFFFu;

/// Philox counters side by side. Each 32-bit word lies in a 64-bit lane, where its products need no widening.
using Lanes = simd::Vec<std::uint64_t>;
constexpr int vectors = blocks / simd::width<std::uint64_t>;
struct Counters {
  Lanes word[4][vectors];
};

void round_of_philox(Counters& c, std::uint64_t k0, std::uint64_t k1) {
  for (int i = 0; i < vectors; ++i) {
    Lanes const p0 = simd::product_of_low_words(c.word[0][i], simd::broadcast<std::uint64_t>(0xD2511F53u));
    Lanes const p1 = simd::product_of_low_words(c.word[2][i], simd::broadcast<std::uint64_t>(0xCD9E8D57u));
    c.word[0][i] = (p1 >> 32) ^ c.word[1][i] ^ k0;
    c.word[2][i] = (p0 >> 32) ^ c.word[3][i] ^ k1;
    c.word[1][i] = p1 & low_word;
    c.word[3][i] = p0 & low_word;
  }
}

Counters first_counters(RandomSite const& site, std::uint64_t chunk) {
  Counters c;
  for (int i = 0; i < blocks; ++i) {
    int const vector = i / simd::width<std::uint64_t>;
    int const lane = i % simd::width<std::uint64_t>;
    std::uint64_t const block = chunk * blocks + static_cast<std::uint64_t>(i);
    c.word[0][vector][lane] = block & low_word;
    c.word[1][vector][lane] = block >> 32;
    c.word[2][vector][lane] = site.step();
    c.word[3][vector][lane] = site.site();
  }
  return c;
}

}  // namespace

void draw_chunk(RandomSite const& site, std::uint64_t chunk, std::uint32_t (&numbers)[dropout_chunk]) {
  Counters c = first_counters(site, chunk);
  std::uint64_t k0 = site.seed() & low_word;
  std::uint64_t k1 = site.seed() >> 32;
  for (int round = 0; round < 10; ++round) {
    round_of_philox(c, k0, k1);
    k0 = (k0 + 0x9E3779B9u) & low_word;
    k1 = (k1 + 0xBB67AE85u) & low_word;
  }
  std::uint64_t words[4][blocks];
  std::memcpy(words, c.word, sizeof words);
  for (int i = 0; i < blocks; ++i) {
    for (int j = 0; j < 4; ++j) numbers[4 * i + j] = static_cast<std::uint32_t>(words[j][i]);
  }
}

template <class T>
void draw_chunk_factors(DropoutFactors const& dropout, std::uint64_t chunk, T (&factors)[dropout_chunk]) {
  DropoutFactors const constants = dropout;
  std::uint32_t numbers[dropout_chunk];
  draw_chunk(constants.site(), chunk, numbers);
  for (int i = 0; i < dropout_chunk; ++i) factors[i] = constants.of<T>(numbers[i]);
}

template void draw_chunk_factors<float>(DropoutFactors const&, std::uint64_t, float (&)[dropout_chunk]);
template void draw_chunk_factors<double>(DropoutFactors const&, std::uint64_t, double (&)[dropout_chunk]);

}  // namespace tessera::kernels
