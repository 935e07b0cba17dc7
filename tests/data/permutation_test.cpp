// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/data/permutation.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <numeric>
#include <vector>

#include "data_files.hpp"

namespace tessera::data::test {
namespace {

std::vector<std::int64_t> order_of(std::int64_t size, std::uint64_t seed, std::uint64_t epoch) {
  Permutation const permutation(size, seed, epoch);
  std::vector<std::int64_t> order(static_cast<std::size_t>(size));
  for (std::int64_t i = 0; i < size; ++i) order[static_cast<std::size_t>(i)] = permutation(i);
  return order;
}

TEST(Permutation, EveryElementAppearsExactlyOnce) {
  std::vector<std::int64_t> sizes(200);
  std::iota(sizes.begin(), sizes.end(), 1);
  for (std::int64_t const size : {255, 256, 257, 1000, 4095, 4096, 4097, 65536, 99991}) sizes.push_back(size);
  for (std::int64_t const size : sizes) {
    std::vector<int> seen(static_cast<std::size_t>(size));
    for (std::int64_t const element : order_of(size, 7, 3)) ++seen.at(static_cast<std::size_t>(element));
    EXPECT_EQ(seen, std::vector<int>(static_cast<std::size_t>(size), 1)) << "size " << size;
  }
}

TEST(Permutation, DependsOnSeedAndEpochAlone) {
  auto const order = order_of(1000, 1, 0);
  EXPECT_EQ(order_of(1000, 1, 0), order);
  EXPECT_NE(order_of(1000, 2, 0), order);
  EXPECT_NE(order_of(1000, 1, 1), order);
  EXPECT_NE(order_of(1000, 1, std::uint64_t{1} << 32), order) << "high half of the epoch";
  EXPECT_NE(order_of(1000, std::uint64_t{1} << 32 | 1, 0), order) << "high half of the seed";
}

TEST(Permutation, IsFarFromTheIdentity) {
  std::int64_t const size = 10000;
  auto const order = order_of(size, 1, 0);
  double distance = 0;
  int neighbours = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    distance += static_cast<double>(std::abs(order[i] - static_cast<std::int64_t>(i)));
    neighbours += i > 0 && std::abs(order[i] - order[i - 1]) == 1;
  }
  EXPECT_NEAR(distance / static_cast<double>(size * size), 1.0 / 3, 0.01)
      << "mean of |x - y| of uniform numbers";
  EXPECT_LT(neighbours, 12) << "two are expected";
}

TEST(Permutation, PlacesElementsEvenlyOverEpochs) {
  std::int64_t const size = 12;
  int const epochs = 12000;
  std::vector<int> first(static_cast<std::size_t>(size));
  for (int epoch = 0; epoch < epochs; ++epoch) {
    ++first[static_cast<std::size_t>(Permutation(size, 5, static_cast<std::uint64_t>(epoch))(0))];
  }
  for (int const count : first) EXPECT_NEAR(count, 1000, 150) << "five standard deviations";
}

TEST(Permutation, ReachesTheLargestSize) {
  std::int64_t const size = std::int64_t{1} << 62;
  Permutation const permutation(size, 1, 0);
  for (std::int64_t const index : {std::int64_t{0}, size / 2, size - 1}) {
    EXPECT_GE(permutation(index), 0);
    EXPECT_LT(permutation(index), size);
  }
  EXPECT_NE(permutation(0), permutation(size - 1));
  EXPECT_THROW(Permutation(size + 1, 1, 0), InternalError);
  EXPECT_THROW(Permutation(0, 1, 0), InternalError);
  EXPECT_THROW((void)permutation(-1), InternalError);
  EXPECT_THROW((void)permutation(size), InternalError);
}

}  // namespace
}  // namespace tessera::data::test
