// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Where each microbatch's gradient goes, played with sums written out as text: "(0+1)+..." says which
// additions are made and in which order.
#include "tessera/params/batch_tiles.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tessera::params {
namespace {

/// The sum that a replica's buffer 0 holds after the step, its microbatches being numbered from `first`.
std::string sum_of_replica(BatchTiles const& tiles, int first) {
  std::vector<std::string> buffers(static_cast<std::size_t>(tiles.levels()));
  for (int microbatch = 0; microbatch < tiles.microbatches(); ++microbatch) {
    auto const target = gradient_target(tiles, microbatch);
    auto& buffer = buffers.at(static_cast<std::size_t>(target.level));
    auto const name = std::to_string(first + microbatch);
    buffer = target.accumulate ? buffer + "," + name : name;
    if (target.last) {
      for (int i = 0; i < target.merges; ++i) {
        auto const upper = static_cast<std::size_t>(target.level - i);
        buffers.at(upper - 1) = "(" + buffers.at(upper - 1) + "+" + buffers.at(upper) + ")";
      }
    }
    EXPECT_EQ(target.last_of_step, microbatch == tiles.microbatches() - 1);
  }
  return buffers[0];
}

/// The balanced tree over batch tiles [first, first + count).
std::string tree(int first, int count, int microbatches_per_tile) {
  if (count > 1) {
    return "(" + tree(first, count / 2, microbatches_per_tile) + "+" +
           tree(first + count / 2, count / 2, microbatches_per_tile) + ")";
  }
  auto text = std::to_string(first * microbatches_per_tile);
  for (int i = 1; i < microbatches_per_tile; ++i)
    text += "," + std::to_string(first * microbatches_per_tile + i);
  return text;
}

TEST(BatchTiles, AreSummedByTheBalancedTree) {
  for (int const count : {1, 2, 4, 8, 16}) {
    for (int const per_tile : {1, 2, 3}) {
      EXPECT_EQ(sum_of_replica({count, per_tile}, 0), tree(0, count, per_tile));
    }
  }
  EXPECT_EQ(sum_of_replica({4, 1}, 0), "((0+1)+(2+3))");
}

TEST(BatchTiles, OfReplicasGoOnInTheSameTree) {
  constexpr int tiles = 16;
  for (int const replicas : {1, 2, 4, 8, 16}) {
    std::vector<std::string> sums;
    int const own = tiles / replicas;
    for (int replica = 0; replica < replicas; ++replica)
      sums.push_back(sum_of_replica({own, 2}, replica * own * 2));
    for (; sums.size() > 1; sums.resize(sums.size() / 2)) {
      for (std::size_t i = 0; i < sums.size() / 2; ++i)
        sums[i] = "(" + sums[2 * i] + "+" + sums[2 * i + 1] + ")";
    }
    EXPECT_EQ(sums[0], tree(0, tiles, 2)) << replicas << " replicas";
  }
}

TEST(BatchTiles, NeedOneBufferMoreThanTheTreeIsDeep) {
  EXPECT_EQ((BatchTiles{1, 5}).levels(), 1);
  EXPECT_EQ((BatchTiles{2, 1}).levels(), 2);
  EXPECT_EQ((BatchTiles{16, 1}).levels(), 5);
  EXPECT_EQ((BatchTiles{4, 3}).microbatches(), 12);
}

}  // namespace
}  // namespace tessera::params
