// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/optim/gradient_norm.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "optim/gradients.hpp"

namespace tessera::optim::test {
namespace {

using params::ParameterStore;
using params::Role;
using params::TileRange;

constexpr int tiles = 8;

std::vector<params::TensorSpec> model_specs() {
  std::vector<params::TensorSpec> specs;
  append(specs, cut_tensor("table", 41, 700, tiles));  // tiles of 4,200 elements, the last one all padding
  append(specs, replicated_tensor("norm", 5000));
  append(specs, cut_tensor("weight", 64, 33, tiles));
  return specs;
}

double gradient(std::size_t tensor, std::int64_t index) {
  return std::sin(0.7 + static_cast<double>(tensor) + 0.013 * static_cast<double>(index));
}

/// The sums of all (tensor, tile), made by the `ranks` ranks of tp one after another, each with its own
/// store; a stage that holds the table's second role and one that holds a copy of it must not count them.
std::vector<double> sums_of(int ranks, Role second_table) {
  auto const specs = model_specs();
  std::vector<double> sums(static_cast<std::size_t>(slot_count(specs)), -1.0);
  for (int rank = 0; rank < ranks; ++rank) {
    Arena arena("rank");
    ParameterStore<float> store;
    for (auto const& spec : specs) {
      store.add(spec, spec.replicated() ? TileRange::all(1) : TileRange::of_rank(tiles, rank, ranks));
    }
    auto const copy = store.add(specs[0], TileRange::of_rank(tiles, rank, ranks), second_table);
    store.allocate(arena, 1, 1);
    for (std::size_t id = 0; id < specs.size(); ++id) {
      for_each_element(store, static_cast<int>(id), [&](int tile, std::size_t i, std::int64_t index) {
        store.gradient(static_cast<int>(id), tile, 0)(i) = static_cast<float>(gradient(id, index));
      });
    }
    Kokkos::deep_copy(store.gradient(copy, 0, 0), 1000.0F);
    SquaredSums<float> const squares(arena, store.gradient_range().end);
    squares.add_tiles(ExecutionSpace(), reduced(store), rank == ranks - 1, sums);
  }
  return sums;
}

TEST(GradientNorm, CountsEveryElementOnce) {
  auto const specs = model_specs();
  double sum = 0;
  for (std::size_t id = 0; id < specs.size(); ++id) {
    for (std::int64_t i = 0; i < specs[id].size(); ++i) {
      auto const value = static_cast<double>(static_cast<float>(gradient(id, i)));
      sum += value * value;
    }
  }
  auto const sums = sums_of(1, Role::tied_gradient);
  EXPECT_NEAR(global_norm(sums), std::sqrt(sum), 1e-13 * std::sqrt(sum));
  EXPECT_EQ(sums[7], 0.0);  // a tile that is all padding
}

TEST(GradientNorm, IsTheSameToTheLastBitForEveryCut) {
  auto const serial = sums_of(1, Role::tied_gradient);
  for (int const ranks : {1, 2, 4, 8}) {
    for (Role const second : {Role::tied_gradient, Role::tied_copy}) {
      auto const sums = sums_of(ranks, second);
      for (std::size_t slot = 0; slot < sums.size(); ++slot) {
        EXPECT_EQ(sums[slot], serial[slot]) << ranks << " ranks, slot " << slot;
      }
      EXPECT_EQ(global_norm(sums), global_norm(serial));
    }
  }
}

TEST(GradientNorm, OfNothingIsZero) { EXPECT_EQ(global_norm({}), 0.0); }

TEST(ClipScale, BringsLargeNormsDownAndLeavesSmallOnes) {
  EXPECT_EQ(clip_scale(4.0, 1.0), 0.25);
  EXPECT_EQ(clip_scale(1.0, 1.0), 1.0);
  EXPECT_EQ(clip_scale(0.5, 1.0), 1.0);
  EXPECT_EQ(clip_scale(0.0, 1.0), 1.0);
  EXPECT_EQ(clip_scale(1e30, 0.0), 1.0);  // 0 means no clipping
}

}  // namespace
}  // namespace tessera::optim::test
