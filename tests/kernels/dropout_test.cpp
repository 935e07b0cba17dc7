// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/dropout.hpp"

#include <Random123/philox.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tessera::kernels {

namespace {

TEST(DropoutTest, NumbersAreThoseOfTheAuthorsLibraryAtTheDocumentedCounterAndKey) {
  std::uint64_t element = 0x123456789ABCDEu;
  for (std::uint32_t trial = 0; trial < 10000; ++trial, element = element * 6364136223846793005u + 1) {
    std::uint64_t const seed = ~element * 0x9E3779B97F4A7C15u;
    std::uint64_t const block = element / 4;
    auto const low = static_cast<std::uint32_t>(block);
    auto const high = static_cast<std::uint32_t>(block >> 32);
    auto const theirs =
        r123::Philox4x32()({{low, high, trial, 99 * trial}},
                           {{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)}});
    EXPECT_EQ(RandomSite(seed, trial, 99 * trial).bits(element), theirs[element % 4]);
  }
}

TEST(DropoutTest, ChunksDrawnSideBySideEqualSingleNumbers) {
  RandomSite const site(0xFEDCBA9876543210u, 5, 3);
  for (std::uint64_t const chunk :
       {std::uint64_t{0}, std::uint64_t{7}, std::uint64_t{1} << 40, std::uint64_t{0x3FFFFFFF}}) {
    std::uint32_t numbers[dropout_chunk];
    draw_chunk(site, chunk, numbers);
    for (std::uint64_t i = 0; i < dropout_chunk; ++i)
      EXPECT_EQ(numbers[i], site.bits(chunk * dropout_chunk + i));
  }
}

TEST(DropoutTest, KeepsTheStatedShareAndTheMean) {
  std::size_t const count = 1 << 20;
  DropoutFactors const factors(0.1F, RandomSite(1, 2, 3));
  std::size_t kept = 0;
  for (std::size_t i = 0; i < count; ++i) kept += factors.of<double>(factors.site().bits(i)) != 0;
  double const share = static_cast<double>(kept) / static_cast<double>(count);
  EXPECT_NEAR(share, 0.9, 5 * std::sqrt(0.09 / static_cast<double>(count)));
  EXPECT_DOUBLE_EQ(factors.of<double>(0xFFFFFFFFu), 1 / (1 - static_cast<double>(0.1F)));
  EXPECT_EQ(factors.of<double>(0), 0);
}

}  // namespace

}  // namespace tessera::kernels
