// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/base/bf16.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

namespace tessera {
namespace {

bf16 of_bits(std::uint16_t bits) {
  bf16 value;
  value.bits = bits;
  return value;
}

TEST(Bf16, EveryNumberComesBackFromFloat) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    auto const value = static_cast<float>(of_bits(static_cast<std::uint16_t>(bits)));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(static_cast<float>(bf16(value))));
    } else {
      EXPECT_EQ(bf16(value).bits, bits);
    }
  }
}

/// Between two neighbours: what is nearer, and in the middle the one with an even last bit.
TEST(Bf16, RoundsToTheNearestAndTiesToEven) {
  for (std::uint32_t bits = 0; bits < 0x7F80; ++bits) {
    std::uint32_t const low = bits << 16;
    auto const rounded = [&](std::uint32_t rest) { return bf16(std::bit_cast<float>(low + rest)).bits; };
    EXPECT_EQ(rounded(0x7FFF), bits);
    EXPECT_EQ(rounded(0x8000), bits + bits % 2);
    EXPECT_EQ(rounded(0x8001), bits + 1);
  }
  EXPECT_EQ(bf16(-1.00390625F).bits, bf16(-1.0F).bits);
  EXPECT_EQ(bf16(-0.0F).bits, 0x8000);
  EXPECT_TRUE(std::isinf(static_cast<float>(bf16(std::numeric_limits<float>::max()))));
}

TEST(Bf16, KeepsInfinitiesAndNan) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(static_cast<float>(bf16(infinity)), infinity);
  EXPECT_EQ(static_cast<float>(bf16(-infinity)), -infinity);
  for (std::uint32_t const nan : {0x7F800001u, 0x7FFFFFFFu, 0xFF800001u, 0xFFFFFFFFu, 0x7FC00000u}) {
    EXPECT_TRUE(std::isnan(static_cast<float>(bf16(std::bit_cast<float>(nan)))));
  }
}

TEST(Bf16, LoopsRoundAsSingleNumbersDo) {
  std::vector<float> from;
  for (std::uint32_t i = 0; i < 4099; ++i) from.push_back(std::bit_cast<float>(i * 1'046'527u));
  std::vector<bf16> to(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = bf16(from[i]);
  for (std::size_t i = 0; i < from.size(); i += 7) {
    auto const volatile one = from[i];
    EXPECT_EQ(to[i].bits, bf16(one).bits) << i;
  }
}

TEST(Bf16, RoundsOnlyWhereTheCodeSaysSo) {
  EXPECT_FALSE((std::is_convertible_v<float, bf16>));
  EXPECT_TRUE((std::is_convertible_v<bf16, float>));
  EXPECT_TRUE((std::is_same_v<decltype(bf16() * bf16()), float>));
  EXPECT_TRUE((std::is_same_v<Wide<bf16>, float>));
  EXPECT_TRUE((std::is_same_v<Wide<double>, double>));
}

}  // namespace
}  // namespace tessera
