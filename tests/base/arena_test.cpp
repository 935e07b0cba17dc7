// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/base/arena.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace tessera {
namespace {

/// What some set-up code takes; the prediction and the allocation must be of the same code.
void take_some(Arena& arena) {
  (void)arena.vector<double>(3);
  (void)arena.matrix<float>(7, 5);
  (void)arena.cube<float>(2, 3, 4);
  (void)arena.vector<std::uint8_t>(0);
}

TEST(Arena, TensorsAreZeroAlignedAndApart) {
  Arena arena("test");
  auto const first = arena.vector<float>(5);
  auto const second = arena.matrix<double>(2, 3);
  auto const host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), second);
  for (std::size_t i = 0; i < host.size(); ++i) EXPECT_EQ(host.data()[i], 0.0);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first.data()) % alignof(double), 0u);
  EXPECT_NE(static_cast<void*>(first.data()), static_cast<void*>(second.data()));
  EXPECT_EQ(second.extent(0), 2u);
  EXPECT_EQ(second.extent(1), 3u);
}

TEST(Arena, CountingGivesTheSameBytesAndNoMemory) {
  Arena real("real");
  Arena counting("counting", Arena::Mode::counting);
  take_some(real);
  take_some(counting);
  EXPECT_EQ(counting.used_bytes(), real.used_bytes());
  EXPECT_GT(counting.used_bytes(), 0u);
  auto const huge = counting.vector<float>(std::size_t{1} << 60);
  EXPECT_EQ(huge.data(), nullptr);
  EXPECT_EQ(huge.size(), std::size_t{1} << 60);
}

TEST(Arena, BytesAreCountedWithTheirAlignment) {
  Arena arena("test");
  (void)arena.vector<std::uint8_t>(1);
  EXPECT_EQ(arena.used_bytes(), 64u);
  (void)arena.vector<std::uint8_t>(65);
  EXPECT_EQ(arena.used_bytes(), 192u);
}

TEST(Arena, TensorsStayValidWhenTheArenaMoves) {
  Arena first("test");
  auto const tensor = first.vector<int>(4);
  Arena const second(std::move(first));
  Kokkos::deep_copy(tensor, 3);
  EXPECT_EQ(second.used_bytes(), 64u);
}

}  // namespace
}  // namespace tessera
