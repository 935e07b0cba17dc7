// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/base/f16.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#if defined(__F16C__)
#include <immintrin.h>
#endif

namespace tessera {
namespace {

f16 of_bits(std::uint32_t bits) {
  f16 value;
  value.bits = static_cast<std::uint16_t>(bits);
  return value;
}

std::uint32_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }

/// What a finite number stands for, by the definition of the format.
double meaning(std::uint32_t bits) {
  int const exponent = static_cast<int>(bits >> 10 & 0x1F), mantissa = static_cast<int>(bits & 0x3FF);
  double const size = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return (bits & 0x8000) != 0 ? -size : size;
}

TEST(F16, EveryNumberIsWhatTheFormatSaysAndComesBackFromFloat) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    auto const value = static_cast<float>(of_bits(bits));
    if ((bits & 0x7C00) != 0x7C00) {
      ASSERT_EQ(value, meaning(bits)) << bits;
      ASSERT_EQ(std::signbit(value), bits >= 0x8000) << bits;
    }
    if (std::isnan(value)) {
      ASSERT_EQ(bits & 0x7C00, 0x7C00u);
      ASSERT_TRUE(std::isnan(static_cast<float>(f16(value))));
    } else {
      ASSERT_EQ(f16(value).bits, bits);
    }
  }
}

/// Between two neighbours: what is nearer, and in the middle the one with an even last bit. All differences
/// are exact in float, also below the least normal number.
TEST(F16, RoundsToTheNearestAndTiesToEven) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for (std::uint32_t bits = 0; bits < 0x7C00; ++bits) {
    double const next = bits + 1 == 0x7C00 ? 65536 : meaning(bits + 1);
    auto const middle = static_cast<float>((meaning(bits) + next) / 2);
    ASSERT_EQ(f16(std::nextafter(middle, 0.0F)).bits, bits);
    ASSERT_EQ(f16(middle).bits, bits + bits % 2);
    ASSERT_EQ(f16(std::nextafter(middle, infinity)).bits, bits + 1);
    ASSERT_EQ(f16(-middle).bits, 0x8000 + bits + bits % 2);
  }
  EXPECT_EQ(f16(-0.0F).bits, 0x8000);
  EXPECT_EQ(f16(std::numeric_limits<float>::denorm_min()).bits, 0);
  EXPECT_EQ(static_cast<float>(f16(65519.0F)), 65504.0F);
  EXPECT_EQ(static_cast<float>(f16(65520.0F)), infinity);
  EXPECT_EQ(static_cast<float>(f16(std::numeric_limits<float>::lowest())), -infinity);
}

TEST(F16, KeepsInfinitiesAndNan) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(static_cast<float>(f16(infinity)), infinity);
  EXPECT_EQ(static_cast<float>(f16(-infinity)), -infinity);
  for (std::uint32_t const nan : {0x7F800001u, 0x7FFFFFFFu, 0xFF800001u, 0xFFFFFFFFu, 0x7FC00000u}) {
    EXPECT_TRUE(std::isnan(static_cast<float>(f16(std::bit_cast<float>(nan)))));
  }
}

TEST(F16, LoopsConvertAsSingleNumbersDo) {
  std::vector<float> from;
  for (std::uint32_t i = 0; i < 4099; ++i) from.push_back(std::bit_cast<float>(i * 1'046'527u));
  std::vector<f16> to(from.size());
  std::vector<float> back(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = f16(from[i]);
  for (std::size_t i = 0; i < from.size(); ++i) back[i] = to[i];
  for (std::size_t i = 0; i < from.size(); i += 7) {
    auto const volatile one = from[i];
    EXPECT_EQ(to[i].bits, f16(one).bits) << i;
    EXPECT_EQ(bits_of(back[i]), bits_of(f16(one))) << i;
  }
}

/// Programs for processors with and without conversions of their own agree.
TEST(F16, BitsWithoutTheProcessorsConversionsAreTheSame) {
#if defined(__F16C__)
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    auto const half = static_cast<std::uint16_t>(bits);
    ASSERT_EQ(bits_of(detail::f16_widened(half)), bits_of(_cvtsh_ss(half))) << bits;
    ASSERT_EQ(bits_of(of_bits(bits)), bits_of(_cvtsh_ss(half))) << bits;
  }
  // The upper 16 bits of a float all, with what may lie below them to either side of a tie.
  for (std::uint32_t high = 0; high < 0x10000; ++high) {
    for (std::uint32_t const low :
         {0u, 1u, 0x0FFFu, 0x1000u, 0x1001u, 0x2FFFu, 0x3000u, 0x3001u, 0x7FFFu, 0x8000u, 0xF000u, 0xFFFFu}) {
      auto const value = std::bit_cast<float>(high << 16 | low);
      ASSERT_EQ(detail::f16_rounded(value), _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT))
          << high << ' ' << low;
      ASSERT_EQ(f16(value).bits, detail::f16_rounded(value)) << high << ' ' << low;
    }
  }
#else
  GTEST_SKIP() << "compiled for a processor without F16C";
#endif
}

TEST(F16, RoundsOnlyWhereTheCodeSaysSo) {
  EXPECT_FALSE((std::is_convertible_v<float, f16>));
  EXPECT_TRUE((std::is_convertible_v<f16, float>));
  EXPECT_TRUE((std::is_same_v<decltype(f16() * f16()), float>));
  EXPECT_TRUE((std::is_same_v<Wide<f16>, float>));
}

}  // namespace
}  // namespace tessera
