// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/params/tensor_spec.hpp"

#include <gtest/gtest.h>

#include <set>

namespace tessera::params {
namespace {

/// A tensor (outer, cut, inner) in `tiles` tiles, padded to a multiple of them.
TensorSpec make_spec(std::int64_t outer, std::int64_t cut, std::int64_t inner, int tiles) {
  TensorSpec spec;
  spec.name = "tensor";
  spec.shape = {outer, cut, inner};
  spec.outer = outer;
  spec.cut = cut;
  spec.padded_cut = (cut + tiles - 1) / tiles * tiles;
  spec.inner = inner;
  spec.tiles = tiles;
  return spec;
}

TEST(TileRange, OfAllRanksCoversAllTilesInOrder) {
  for (int const ranks : {1, 2, 4, 8}) {
    int next = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      auto const range = TileRange::of_rank(8, rank, ranks);
      EXPECT_EQ(range.total, 8);
      EXPECT_EQ(range.first, next);
      next += range.count;
    }
    EXPECT_EQ(next, 8);
  }
  EXPECT_EQ(TileRange::all(8), TileRange::of_rank(8, 0, 1));
  for (int const ranks : {0, 3, 16}) EXPECT_THROW((void)TileRange::of_rank(8, 0, ranks), ConfigError);
}

TEST(ElementsOfTile, OfAFusedWeightAreOneRunForEachPart) {
  // (3, 6, 4) in 3 tiles of 2 rows: tile 1 holds rows 2 and 3 of each of the three parts.
  auto const elements = elements_of_tile(make_spec(3, 6, 4, 3), 1);
  EXPECT_EQ(elements.outer, 3);
  EXPECT_EQ(elements.run, 8);
  EXPECT_EQ(elements.valid_run, 8);
  EXPECT_EQ(elements.first, 8);
  EXPECT_EQ(elements.stride, 24);
}

TEST(ElementsOfTile, OfAllTilesAreEveryElementExactlyOnce) {
  for (auto const& spec : {make_spec(1, 41, 3, 8), make_spec(3, 8, 5, 4), make_spec(7, 6, 1, 3),
                           make_spec(1, 5, 2, 8), make_spec(2, 10, 4, 4), make_spec(1, 9, 1, 1)}) {
    std::set<std::int64_t> seen;
    for (int tile = 0; tile < spec.tiles; ++tile) {
      auto const elements = elements_of_tile(spec, tile);
      EXPECT_EQ(elements.outer * elements.run, spec.tile_size());
      for (std::int64_t o = 0; o < elements.outer; ++o) {
        for (std::int64_t r = 0; r < elements.valid_run; ++r) {
          EXPECT_TRUE(seen.insert(elements.first + o * elements.stride + r).second)
              << "element twice in tile " << tile;
        }
      }
    }
    EXPECT_EQ(static_cast<std::int64_t>(seen.size()), spec.size());
    EXPECT_EQ(*seen.begin(), 0);
    EXPECT_EQ(*seen.rbegin(), spec.size() - 1);
  }
}

TEST(ElementsOfTile, OfATileBehindTheTrueEndAreAllPadding) {
  auto const spec = make_spec(1, 41, 3, 8);  // tiles of 6 rows
  EXPECT_EQ(elements_of_tile(spec, 6).valid_run, 15);
  EXPECT_EQ(elements_of_tile(spec, 7).valid_run, 0);
  EXPECT_EQ(elements_of_tile(spec, 7).run, 18);
  EXPECT_EQ(spec.size(), 123);
}

TEST(CanonicalList, NumbersTensorsAndTheirTiles) {
  std::vector<TensorSpec> specs;
  EXPECT_EQ(slot_count(specs), 0);
  for (int const tiles : {8, 1, 4}) append(specs, make_spec(1, 16, 1, tiles));
  EXPECT_EQ(specs[0].index, 0);
  EXPECT_EQ(specs[2].index, 2);
  EXPECT_EQ(specs[0].first_slot, 0);
  EXPECT_EQ(specs[1].first_slot, 8);
  EXPECT_EQ(specs[2].first_slot, 9);
  EXPECT_EQ(slot_count(specs), 13);
}

/// Recorded: the value is in every `Weights:` line that was ever printed, and in saved checkpoints to compare
/// with.
TEST(NameHash, IsTheSameOnEveryMachine) {
  EXPECT_EQ(name_hash(""), 0x2D06800538D394C2u);
  EXPECT_EQ(name_hash("embedding.tokens"), 0xB89ACE91F8E61D4Bu);
  EXPECT_EQ(name_hash("layers.11.attention.qkv.weight"), 0xFA956F23FB6CD1ACu);
}

}  // namespace
}  // namespace tessera::params
