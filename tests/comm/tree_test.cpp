// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The promise of layout-invariant sums: the bits of a tree do not show how it was computed.
#include "tessera/comm/tree.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "contract/decorations.hpp"
#include "support/parallel.hpp"
#include "tessera/base/error.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::comm {
namespace {

/// Values of mixed sign over ten binary orders of magnitude: sums that round differently in almost any other
/// order.
template <class T>
std::vector<T> values_of(int rank, std::size_t count) {
  std::mt19937 generator(static_cast<unsigned>(rank) * 7919u + 17u);
  std::uniform_real_distribution<T> mantissa(-1, 1);
  std::uniform_int_distribution<int> exponent(-5, 5);
  std::vector<T> values(count);
  for (auto& value : values) value = std::ldexp(mantissa(generator), exponent(generator));
  return values;
}

/// The balanced tree, nearest neighbours first, as its definition says it.
template <class T>
std::vector<T> serial_tree(int first, int ranks, std::size_t count) {
  if (ranks == 1) return values_of<T>(first, count);
  auto sum = serial_tree<T>(first, ranks / 2, count);
  auto const right = serial_tree<T>(first + ranks / 2, ranks / 2, count);
  for (std::size_t i = 0; i < count; ++i) sum[i] = sum[i] + right[i];
  return sum;
}

template <class T>
::testing::AssertionResult same_bits(std::span<T const> got, std::span<T const> expected) {
  std::size_t different = 0;
  for (std::size_t i = 0; i < got.size(); ++i)
    different += std::memcmp(&got[i], &expected[i], sizeof(T)) != 0;
  if (different == 0 && got.size() == expected.size()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << different << " of " << got.size() << " elements differ";
}

template <class T>
void expect_tree_sums(Communicator& comm, std::size_t count) {
  auto const expected = serial_tree<T>(0, comm.size(), count);
  auto const own = values_of<T>(comm.rank(), count);
  std::vector<T> sum(count);
  all_reduce(comm, own, sum, Op::sum).wait_host();
  EXPECT_TRUE(same_bits<T>(sum, expected)) << "all_reduce of " << count << " on " << comm.size();
  auto in_place = own;
  all_reduce_in_place(comm, in_place, Op::sum).wait_host();
  EXPECT_TRUE(same_bits<T>(in_place, expected))
      << "all_reduce_in_place of " << count << " on " << comm.size();

  std::size_t const part = count / static_cast<std::size_t>(comm.size());
  auto const ranks = static_cast<std::size_t>(comm.size());
  std::vector<T> scattered(part);
  reduce_scatter(comm, std::span<T const>(own).first(part * ranks), scattered, Op::sum).wait_host();
  auto const chunk = std::span<T const>(expected).subspan(static_cast<std::size_t>(comm.rank()) * part, part);
  EXPECT_TRUE(same_bits<T>(scattered, chunk)) << "reduce_scatter of " << count << " on " << comm.size();
}

/// Both algorithms of the all-reduce, with counts that the ranks divide and that they do not.
constexpr std::size_t counts[] = {1, 13, 1000, 16385, 40000, 65537};

void expect_tree_sums(Communicator& comm) {
  for (std::size_t const count : counts) {
    expect_tree_sums<float>(comm, count);
    expect_tree_sums<double>(comm, count);
  }
}

TEST(Tree, SumsHaveTheBitsOfTheSerialTree) {
  support::for_each_group({1, 2, 4, 8},
                          [](Communicator& group) { expect_tree_sums(*make_tree(group.duplicate())); });
}

TEST(Tree, HierarchicalSumsHaveTheSameBits) {
  support::for_each_group({2, 4, 8}, [](Communicator& group) {
    expect_tree_sums(*contract::make_pairs_hierarchical(group, true));
  });
}

TEST(Tree, OneRankThatSumsItsTilesFirstGivesTheSameBits) {
  constexpr int tiles = 8;
  constexpr std::size_t count = 30000;
  auto const expected = serial_tree<float>(0, tiles, count);
  support::for_each_group({1, 2, 4, 8}, [&](Communicator& group) {
    auto const comm = make_tree(group.duplicate());
    int const own_tiles = tiles / comm->size();
    auto sum = serial_tree<float>(comm->rank() * own_tiles, own_tiles, count);
    all_reduce_in_place(*comm, sum, Op::sum).wait_host();
    EXPECT_TRUE(same_bits<float>(sum, expected)) << "on " << comm->size();
  });
}

TEST(Tree, SumsUnderWayTogetherDoNotMix) {
  support::for_each_group({2, 8}, [](Communicator& group) {
    auto const comm = make_tree(group.duplicate());
    auto first = values_of<float>(comm->rank(), 20000);
    auto second = values_of<float>(comm->rank(), 100);
    auto third = values_of<float>(comm->rank(), 50000);
    {
      auto const a = all_reduce_in_place(*comm, first, Op::sum);
      auto const b = all_reduce_in_place(*comm, second, Op::sum);
      auto c = all_reduce_in_place(*comm, third, Op::sum);
      if (comm->rank() % 2 == 0) c.wait_host();
    }
    EXPECT_TRUE(same_bits<float>(first, serial_tree<float>(0, comm->size(), first.size())));
    EXPECT_TRUE(same_bits<float>(second, serial_tree<float>(0, comm->size(), second.size())));
    EXPECT_TRUE(same_bits<float>(third, serial_tree<float>(0, comm->size(), third.size())));
  });
}

/// Rows wait for their row sum first, columns for their column sum: without a wait that keeps the other sum
/// moving, four ranks in a circle would wait for ever.
TEST(Tree, SumsOnCrossingGroupsDoNotWaitForEachOther) {
  support::for_each_group({4}, [](Communicator& group) {
    auto const row = make_tree(group.split(group.rank() / 2, group.rank()));
    auto const column = make_tree(group.split(group.rank() % 2, group.rank()));
    std::vector<float> along_row(50000, 1.0f);
    std::vector<float> along_column(50000, 1.0f);
    std::vector<float> highest(50000, 1.0f);  // not of what is summed: the sum begins before this has ended
    for (int round = 0; round < 20; ++round) {
      auto in_row = all_reduce_in_place(*row, highest, Op::max);
      in_row = all_reduce_in_place(*row, along_row, Op::sum);
      auto in_column = all_reduce_in_place(*column, along_column, Op::sum);
      bool const row_first = group.rank() == 0 || group.rank() == 3;
      if (row_first) in_row.wait_host();
      in_column.wait_host();
      in_row.wait_host();
    }
    EXPECT_EQ(along_row.front(), std::ldexp(1.0f, 20));
    EXPECT_EQ(along_column.back(), std::ldexp(1.0f, 20));
  });
}

TEST(Tree, AGroupThatIsNoPowerOfTwoIsRefused) {
  support::for_each_group(
      {3}, [](Communicator& group) { EXPECT_THROW((void)make_tree(group.duplicate()), ConfigError); });
}

TEST(Tree, ScratchIsOneBlockShortOfTheSum) {
  EXPECT_EQ(tree_scratch_bytes(1, 1 << 20, DType::f32), 0u);
  EXPECT_EQ(tree_scratch_bytes(8, 1 << 20, DType::f32), (std::size_t{1} << 20) / 8 * 7 * 4);
  EXPECT_EQ(tree_scratch_bytes(8, 100, DType::f64), 800u);
}

}  // namespace
}  // namespace tessera::comm
