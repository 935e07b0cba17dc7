// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/kernels/sum.hpp"

#include "tensors.hpp"
#include "tessera/base/error.hpp"
#include "tessera/kernels/launch.hpp"
#include "tessera/kernels/tree.hpp"

namespace tessera::kernels::test {

namespace {

/// The order of sum.hpp, written from its description.
template <class T>
T described_sum(Buffer<T> const& terms) {
  T total = 0;
  for (std::size_t begin = 0; begin < terms.size(); begin += 4096) {
    Buffer<T> lane(sum_lanes, T(0));
    for (std::size_t i = begin; i < std::min(begin + 4096, terms.size()); ++i)
      lane[i % sum_lanes] += terms[i];
    while (lane.size() > 1) {
      std::size_t const half = lane.size() / 2;
      for (std::size_t l = 0; l < half; ++l) lane[l] += lane[l + half];
      lane.resize(half);
    }
    total += lane[0];
  }
  return total;
}

template <class T>
class SumTest : public ::testing::Test {};
TYPED_TEST_SUITE(SumTest, ComputeTypes);

TYPED_TEST(SumTest, AddsInTheDescribedOrder) {
  using T = TypeParam;
  for (std::size_t const n : {0, 1, 15, 16, 17, 100, 4095, 4096, 4097, 10000}) {
    auto const terms = as<T>(random_tensor(n, 3));
    T const sum = lane_sum<T>(static_cast<std::ptrdiff_t>(n), [&](std::ptrdiff_t i) { return terms[i]; });
    EXPECT_EQ(sum, described_sum(terms)) << n;
  }
}

TYPED_TEST(SumTest, MaximumFindsTheLargestTermOrTheLeastGiven) {
  using T = TypeParam;
  auto const terms = as<T>(random_tensor(1000, 4));
  auto const largest = [&] {
    return lane_max<T>(1000, T(-5), [&](std::ptrdiff_t i) { return terms[static_cast<std::size_t>(i)]; });
  };
  EXPECT_EQ(largest(), *std::max_element(terms.begin(), terms.end()));
  EXPECT_EQ(lane_max<T>(0, T(-5), [](std::ptrdiff_t) { return T(0); }), T(-5));
}

/// results: the sum and the maximum of n terms, by the team of a row.
template <class T>
void fold_in_a_row(std::ptrdiff_t n, T const* terms, T* results) {
  rows(
      exec(), "tessera::kernels::test", 1, KOKKOS_LAMBDA(RowTeam const& team, std::ptrdiff_t) {
        T const sum = team.template sum<T>(n, [&](std::ptrdiff_t i) { return terms[i]; });
        T const largest = team.template max<T>(n, T(-5), [&](std::ptrdiff_t i) { return terms[i]; });
        team.once([&] {
          results[0] = sum;
          results[1] = largest;
        });
      });
}

TYPED_TEST(SumTest, TeamsOfRowsAddInTheSameOrderAsAHostThread) {
  using T = TypeParam;
  auto const terms = as<T>(random_tensor(5000, 5));
  auto results = zeros<T>(2);
  fold_in_a_row<T>(5000, terms.data(), results.data());
  EXPECT_EQ(results[0], lane_sum<T>(5000, [&](std::ptrdiff_t i) { return terms[i]; }));
  EXPECT_EQ(results[1], *std::max_element(terms.begin(), terms.end()));
}

/// Neighbours first, over the next power of two with missing leaves left out.
template <class T>
Buffer<T> described_tree(std::vector<Buffer<T>> level) {
  while (level.size() > 1) {
    std::vector<Buffer<T>> next;
    for (std::size_t i = 0; i < level.size(); i += 2) {
      auto sum = level[i];
      for (std::size_t c = 0; i + 1 < level.size() && c < sum.size(); ++c) sum[c] += level[i + 1][c];
      next.push_back(sum);
    }
    level = next;
  }
  return level[0];
}

TYPED_TEST(SumTest, TreeAddsNearestNeighboursFirst) {
  using T = TypeParam;
  for (std::size_t parts = 1; parts <= 17; ++parts) {
    for (std::size_t const n : {1, 67, 5000}) {
      auto flat_parts = as<T>(random_tensor(parts * n, 6));
      std::vector<Buffer<T>> level;
      for (std::size_t i = 0; i < parts; ++i) {
        level.emplace_back(flat_parts.begin() + static_cast<std::ptrdiff_t>(i * n),
                           flat_parts.begin() + static_cast<std::ptrdiff_t>((i + 1) * n));
      }
      auto out = zeros<T>(n);
      tree_sum<T>(ExecutionSpace(), mat(flat_parts, n), vec(out));
      EXPECT_TRUE(same_bits(out, described_tree(level))) << parts << " parts of " << n;
      tree_sum<T>(ExecutionSpace(), mat(flat_parts, n), Vector<T>(flat_parts.data(), n));
      flat_parts.resize(n);
      EXPECT_TRUE(same_bits(flat_parts, out)) << "in place, " << parts << " parts of " << n;
    }
  }
}

TEST(TreeTest, RefusesMoreParts) {
  auto parts = zeros<float>(65);
  auto out = zeros<float>(1);
  EXPECT_THROW(tree_sum<float>(ExecutionSpace(), mat(parts, 1), vec(out)), InternalError);
}

TYPED_TEST(SumTest, SmallOperationsOnWholeTensors) {
  using T = TypeParam;
  auto a = as<T>(random_tensor(5001, 7));
  auto b = as<T>(random_tensor(5001, 8));
  auto expected = a;
  for (std::size_t i = 0; i < a.size(); ++i) expected[i] += b[i];
  auto sum = zeros<T>(a.size());
  copy<T>(ExecutionSpace(), vec(a), vec(sum));
  EXPECT_TRUE(same_bits(sum, a));
  add_to<T>(ExecutionSpace(), vec(sum), vec(b));
  EXPECT_TRUE(same_bits(sum, expected));
  fill<T>(ExecutionSpace(), vec(sum), T(-0.0));
  EXPECT_TRUE(same_bits(sum, Buffer<T>(a.size(), T(-0.0))));
  add_positive_zero<T>(ExecutionSpace(), vec(sum));
  EXPECT_TRUE(same_bits(sum, zeros<T>(a.size())));
  sum = a;
  add_positive_zero<T>(ExecutionSpace(), vec(sum));
  EXPECT_TRUE(same_bits(sum, a));
}

}  // namespace

}  // namespace tessera::kernels::test
