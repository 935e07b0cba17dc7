// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/params/parameter_store.hpp"

#include <gtest/gtest.h>

#include <string_view>

#include "tessera/base/error.hpp"

namespace tessera::params {
namespace {

TensorSpec cut(char const* name, std::int64_t n, int tiles) {
  TensorSpec spec;
  spec.name = name;
  spec.shape = {n};
  spec.cut = spec.padded_cut = n;
  spec.tiles = tiles;
  return spec;
}

TensorSpec replicated(char const* name, std::int64_t n, Completion completion = Completion::token_tiles) {
  auto spec = cut(name, n, 1);
  spec.completion = completion;
  return spec;
}

/// A first and last stage in small: a tied embedding, positions, a norm, a cut weight, the head's gradient.
/// This rank has two of the four tiles of all that is cut.
struct Ids {
  ParameterId tokens, positions, weight, norm, head;
};
template <class T>
Ids add_all(ParameterStore<T>& store) {
  auto const half = TileRange::of_rank(4, 1, 2);
  auto const whole = TileRange::all(1);
  Ids ids{};
  ids.tokens = store.add(cut("tokens", 4 * 5000, 4), half);
  ids.positions = store.add(replicated("positions", 4097, Completion::token_rows), whole);
  ids.weight = store.add(cut("weight", 4 * 100, 4), half);
  ids.norm = store.add(replicated("norm", 100), whole);
  ids.head = store.add(cut("tokens", 4 * 5000, 4), half, Role::tied_gradient);
  return ids;
}

constexpr std::int64_t a = tile_alignment;

TEST(ParameterStore, PlacesReplicatedTensorsThenCutOnesThenGradientsOfTiedRoles) {
  ParameterStore<float> store;
  Arena arena("test");
  auto const ids = add_all(store);
  store.allocate(arena, 1, 1);
  EXPECT_EQ(store[ids.positions].range, (Range{0, 2 * a}));
  EXPECT_EQ(store[ids.norm].range, (Range{2 * a, 3 * a}));
  EXPECT_EQ(store[ids.tokens].range, (Range{3 * a, 7 * a}));  // two tiles of 5,000, each rounded up to 8,192
  EXPECT_EQ(store[ids.weight].range, (Range{7 * a, 9 * a}));
  EXPECT_EQ(store[ids.head].range, (Range{9 * a, 13 * a}));
  EXPECT_EQ(store.replicated_range(), (Range{0, 3 * a}));
  EXPECT_EQ(store.gradient_range(), (Range{0, 13 * a}));
  EXPECT_EQ(store.values().extent(0), static_cast<std::size_t>(9 * a));
  EXPECT_EQ(store.first_moments().extent(0), store.values().extent(0));
  EXPECT_EQ(store.second_moments().extent(0), store.values().extent(0));
  EXPECT_EQ(store.gradients(0).extent(0), static_cast<std::size_t>(13 * a));
}

TEST(ParameterStore, EveryTileStartsOnAnAlignedElement) {
  ParameterStore<double> store;
  Arena arena("test");
  add_all(store);
  store.allocate(arena, 3, 2);
  EXPECT_EQ(store.levels(), 3);
  for (ParameterId id = 0; id < static_cast<ParameterId>(store.parameters().size()); ++id) {
    for (int tile = 0; tile < store[id].tiles.count; ++tile) {
      for (int level = 0; level < store.levels(); ++level) {
        auto const gradient = store.gradient(id, tile, level);
        auto const place = gradient.data() - store.gradients(level).data();
        EXPECT_EQ(place % tile_alignment, 0) << store[id].spec.name;
        EXPECT_EQ(place, store[id].range.begin + tile * store[id].tile_stride);
        EXPECT_EQ(gradient.extent(0), static_cast<std::size_t>(store[id].spec.tile_size()));
      }
    }
  }
}

TEST(ParameterStore, TilesAndLevelsDoNotOverlap) {
  ParameterStore<float> store;
  Arena arena("test");
  auto const ids = add_all(store);
  store.allocate(arena, 2, 3);
  Kokkos::deep_copy(store.gradient(ids.weight, 1, 1), 1.0F);
  Kokkos::deep_copy(store.partial_gradient(ids.norm), 2.0F);
  float sums[2] = {0, 0};
  for (int level : {0, 1}) {
    for (std::size_t i = 0; i < store.gradients(level).extent(0); ++i)
      sums[level] += store.gradients(level)(i);
  }
  EXPECT_EQ(sums[0], 0.0F);
  EXPECT_EQ(sums[1], 100.0F);
  EXPECT_EQ(store.partial_gradient(ids.norm).extent(0), 3u);
  EXPECT_EQ(store.partial_gradient(ids.norm).extent(1), 100u);
}

TEST(ParameterStore, PartialGradientsOfTensorsDoNotOverlap) {
  ParameterStore<float> store;
  Arena arena("test");
  auto const first = store.add(replicated("first", 10), TileRange::all(1));
  auto const second = store.add(replicated("second", 20), TileRange::all(1));
  store.allocate(arena, 1, 4);
  Kokkos::deep_copy(store.partial_gradient(first), 1.0F);
  Kokkos::deep_copy(store.partial_gradient(second), 2.0F);
  for (std::size_t i = 0; i < store.partial_gradient(first).size(); ++i) {
    ASSERT_EQ(store.partial_gradient(first).data()[i], 1.0F);
  }
}

TEST(ParameterStore, ACountingArenaCountsWhatAnAllocatingOneTakes) {
  for (int const levels : {1, 2, 4}) {
    Arena allocating("test"), counting("test", Arena::Mode::counting);
    ParameterStore<float> real, counted;
    add_all(real);
    add_all(counted);
    real.allocate(allocating, levels, 8);
    counted.allocate(counting, levels, 8);
    EXPECT_EQ(allocating.used_bytes(), counting.used_bytes());
    EXPECT_GE(counting.used_bytes(), static_cast<std::size_t>((3 * 9 + levels * 13) * a) * sizeof(float));
    EXPECT_EQ(counted.values().data(), nullptr);
    EXPECT_EQ(counted.values().extent(0), real.values().extent(0));
    EXPECT_EQ(counted.gradient_range(), real.gradient_range());
  }
}

TEST(ParameterStore, StartsAsZeros) {
  ParameterStore<float> store;
  Arena arena("test");
  add_all(store);
  store.allocate(arena, 1, 1);
  for (auto const& flat :
       {store.values(), store.gradients(0), store.first_moments(), store.second_moments()}) {
    for (std::size_t i = 0; i < flat.extent(0); ++i) ASSERT_EQ(flat(i), 0.0F);
  }
}

TEST(ParameterStore, BorrowedValuesAreTheLenders) {
  ParameterStore<float> lender, borrower;
  Arena arena("test");
  auto const ids = add_all(lender);
  add_all(borrower);
  lender.allocate(arena, 1, 1);
  borrower.borrow_values(lender);
  lender.value(ids.weight, 1)(7) = 3.0F;
  EXPECT_EQ(borrower.value(ids.weight, 1)(7), 3.0F);
  EXPECT_EQ(borrower.values().data(), lender.values().data());
}

TEST(ParameterStore, RefusesToBorrowFromAnotherModel) {
  ParameterStore<float> lender, borrower;
  Arena arena("test");
  add_all(lender);
  lender.allocate(arena, 1, 1);
  borrower.add(cut("other", 10, 1), TileRange::all(1));
  EXPECT_THROW(borrower.borrow_values(lender), InternalError);
}

TEST(ParameterStore, RefusesTensorsAfterItsMemoryWasTaken) {
  ParameterStore<float> store;
  Arena arena("test");
  add_all(store);
  store.allocate(arena, 1, 1);
  EXPECT_THROW(store.add(cut("late", 10, 1), TileRange::all(1)), InternalError);
}

TEST(ParameterStore, RefusesTilesOfAnotherCut) {
  ParameterStore<float> store;
  EXPECT_THROW(store.add(cut("weight", 16, 4), TileRange::all(8)), InternalError);
}

TEST(Range, HullHoldsBoth) {
  EXPECT_EQ(hull({3, 5}, {9, 12}), (Range{3, 12}));
  EXPECT_EQ(hull({9, 12}, {3, 5}), (Range{3, 12}));
  EXPECT_EQ(hull({1, 10}, {3, 5}), (Range{1, 10}));
}

}  // namespace
}  // namespace tessera::params
