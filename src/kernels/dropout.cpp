// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/dropout.hpp"

namespace tessera::kernels {

namespace {

constexpr int blocks = dropout_chunk / 4;
constexpr std::uint64_t low_word = 0xFFFFFFFFu;

/// Philox counters side by side. Each 32-bit word lies in a 64-bit lane, where its products need no widening.
struct Counters {
  std::uint64_t word[4][blocks];
};

void round_of_philox(Counters& c, std::uint64_t k0, std::uint64_t k1) {
  for (int i = 0; i < blocks; ++i) {
    std::uint64_t const p0 = std::uint64_t{0xD2511F53u} * (c.word[0][i] & low_word);
    std::uint64_t const p1 = std::uint64_t{0xCD9E8D57u} * (c.word[2][i] & low_word);
    c.word[0][i] = (p1 >> 32) ^ c.word[1][i] ^ k0;
    c.word[2][i] = (p0 >> 32) ^ c.word[3][i] ^ k1;
    c.word[1][i] = p1 & low_word;
    c.word[3][i] = p0 & low_word;
  }
}

}  // namespace

void draw_chunk(RandomSite const& site, std::uint64_t chunk, std::uint32_t (&numbers)[dropout_chunk]) {
  Counters c;
  for (int i = 0; i < blocks; ++i) {
    std::uint64_t const block = chunk * blocks + static_cast<std::uint64_t>(i);
    c.word[0][i] = block & low_word;
    c.word[1][i] = block >> 32;
    c.word[2][i] = site.step();
    c.word[3][i] = site.site();
  }
  std::uint64_t k0 = site.seed() & low_word;
  std::uint64_t k1 = site.seed() >> 32;
  for (int round = 0; round < 10; ++round) {
    round_of_philox(c, k0, k1);
    k0 = (k0 + 0x9E3779B9u) & low_word;
    k1 = (k1 + 0xBB67AE85u) & low_word;
  }
  for (int i = 0; i < blocks; ++i) {
    for (int j = 0; j < 4; ++j) numbers[4 * i + j] = static_cast<std::uint32_t>(c.word[j][i]);
  }
}

}  // namespace tessera::kernels
