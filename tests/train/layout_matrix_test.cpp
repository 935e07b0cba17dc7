// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "layouts.hpp"

namespace tessera::train::test {
namespace {

TEST(LayoutMatrixOf8Tiles, WithoutDropoutAndPaddingGivesTheBitsOfOneRank) {
  TokenFile const tokens(64, 20'000);
  expect_same_bits<float>(small_run(tokens), quick_layouts(8));
}

TEST(LayoutMatrixOf8Tiles, WithDropoutAndPaddingEveryLayoutGivesTheBitsOfOneRank) {
  TokenFile const tokens(41, 20'000);  // 6 a tile: the last tile is padding alone
  auto config = small_run(tokens);
  config.model.vocab_size = 41;
  config.model.hidden_dropout = config.model.attention_dropout = 0.1;
  expect_same_bits<float>(config, all_layouts(8));
}

TEST(LayoutMatrixOf4Tiles, FewerTilesGiveTheBitsOfOneRank) {
  TokenFile const tokens(61, 20'000);
  auto config = small_run(tokens);
  config.model.vocab_size = 61;
  config.parallel.tiles = 4;
  config.parallel.batch_tiles = 8;
  expect_same_bits<float>(config, all_layouts(4));
}

TEST(LayoutMatrixOf2Tiles, FewerTilesGiveTheBitsOfOneRank) {
  TokenFile const tokens(61, 20'000);
  auto config = small_run(tokens);
  config.model.vocab_size = 61;
  config.parallel.tiles = 2;
  config.parallel.batch_tiles = 8;
  expect_same_bits<float>(config, all_layouts(2));
}

/// GPT-2's 12 heads make 4 head tiles; sums over tp are above the border between the two algorithms of the
/// tree.
TEST(LayoutMatrixOf12Heads, FewerHeadTilesThanTilesGiveTheBitsOfOneRank) {
  TokenFile const tokens(61, 20'000);
  auto config = small_run(tokens);
  config.model.heads = 12;
  config.model.hidden_size = 96;
  config.model.max_positions = 64;
  config.model.layers = 4;
  config.model.vocab_size = 61;
  config.batch = {64, 4, 32};
  config.model.attention_dropout = 0.1;
  expect_same_bits<float>(config, quick_layouts(4));
}

TEST(LayoutMatrixInBf16, EveryAxisAndChoiceGivesTheBitsOfOneRank) {
  TokenFile const tokens(41, 20'000);
  auto config = small_run(tokens);
  config.model.vocab_size = 41;
  config.model.hidden_dropout = config.model.attention_dropout = 0.1;
  config.training.precision = "bf16";
  expect_same_bits<bf16>(config, quick_layouts(8));
}

TEST(LayoutMatrixInDouble, EveryAxisAndChoiceGivesTheBitsOfOneRank) {
  TokenFile const tokens(61, 20'000);
  auto config = small_run(tokens);
  config.model.vocab_size = 61;
  config.training.precision = "float64";
  expect_same_bits<double>(config, quick_layouts(8));
}

}  // namespace
}  // namespace tessera::train::test
