// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/base/philox.hpp"

#include <gtest/gtest.h>

#include <set>

namespace tessera {
namespace {

/// Known answers published with the authors' library (Random123, kat_vectors).
TEST(Philox, GivesThePublishedBlocks) {
  auto const expect_block = [](Philox4 const& got, std::array<std::uint32_t, 4> const& expected) {
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(got.value[i], expected[i]);
  };
  expect_block(philox4x32(0, 0, 0, 0, 0, 0), {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  constexpr std::uint32_t ones = 0xffffffff;
  expect_block(philox4x32(ones, ones, ones, ones, ones, ones),
               {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  expect_block(philox4x32(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0),
               {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST(Philox, ElementsOfABlockAreItsNumbers) {
  RandomSite const site(42, 3, 17);
  for (std::uint64_t element : {std::uint64_t{0}, std::uint64_t{5}, std::uint64_t{1} << 40}) {
    EXPECT_EQ(site.bits(element), site.block(element / 4).value[element % 4]);
  }
}

TEST(Philox, SeedStepSiteAndElementEachChangeTheNumbers) {
  std::set<std::uint32_t> const drawn{
      RandomSite(1, 1, 1).bits(0),         RandomSite(2, 1, 1).bits(0),
      RandomSite(1, 2, 1).bits(0),         RandomSite(1, 1, 2).bits(0),
      RandomSite(1, 1, 1).bits(4),         RandomSite(1ull << 32 | 1, 1, 1).bits(0),
      RandomSite(1, 1, 1).bits(1ull << 34)};
  EXPECT_EQ(drawn.size(), 7u);
}

TEST(Philox, TheUnitIntervalIsOpen) {
  EXPECT_GT(unit_interval(0), 0.0);
  EXPECT_LT(unit_interval(0xffffffffu), 1.0);
}

}  // namespace
}  // namespace tessera
