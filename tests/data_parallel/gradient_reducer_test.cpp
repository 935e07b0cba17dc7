// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Gradients of all replicas and batch tiles against plain sums of the same numbers, in the order of rule 3 of
// docs/numerics.md.
#include "tessera/data_parallel/gradient_reducer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "support/parallel.hpp"
#include "tessera/base/error.hpp"
#include "tessera/base/philox.hpp"
#include "tessera/comm/tree.hpp"

namespace tessera::data_parallel {
namespace {

using params::ParameterStore;
using params::Range;
using params::TileRange;

constexpr std::int64_t block = params::tile_alignment;

params::TensorSpec tensor(char const* name, std::int64_t size, params::Completion completion) {
  params::TensorSpec spec;
  spec.name = name;
  spec.shape = {size};
  spec.cut = spec.padded_cut = size;
  spec.completion = completion;
  return spec;
}

/// A stage in small: a table, two layers, a norm, and with `second_role` the gradient of the table's second
/// role.
struct Model {
  Model(int levels, bool second_role) {
    using params::Completion;
    table = store.add(tensor("table", 6000, Completion::local), TileRange::all(1));
    for (char const* name : {"layer 0", "layer 1"}) {
      layers.push_back(store.add(tensor(name, 9000, Completion::local), TileRange::all(1)));
    }
    norm = store.add(tensor("norm", 50, Completion::token_tiles), TileRange::all(1));
    if (second_role) {
      second =
          store.add(tensor("table", 6000, Completion::local), TileRange::all(1), params::Role::tied_gradient);
    }
    store.allocate(arena, levels, 1);
  }

  /// Ranges in the order in which a backward pass reports them: from the end of the store to its beginning.
  [[nodiscard]] std::vector<Range> ranges() const {
    std::vector<Range> result;
    if (second) result.push_back(store[*second].range);
    for (auto id : {layers[1], layers[0], table}) result.push_back(store[id].range);
    result.push_back(store.replicated_range());
    return result;
  }

  Arena arena{"model"};
  ParameterStore<float> store;
  params::ParameterId table = 0, norm = 0;
  std::vector<params::ParameterId> layers;
  std::optional<params::ParameterId> second;
};

/// Element `i` of the gradient of microbatch `microbatch` of the global batch: no sum of these is exact.
float gradient_of(int microbatch, std::int64_t i) {
  RandomSite const site(11, static_cast<std::uint32_t>(microbatch), 0);
  return static_cast<float>(std::exp(8 * unit_interval(site.bits(static_cast<std::uint64_t>(i))) - 4) - 1);
}

/// All microbatches of a replica whose first one is `first`, through `reducer`, as a pipeline stage does it.
params::ReducedGradients<float> run_step(Model& model, GradientReducer<float>& reducer,
                                         params::BatchTiles const& tiles, int first) {
  for (int microbatch = 0; microbatch < tiles.microbatches(); ++microbatch) {
    auto const target = gradient_target(tiles, microbatch);
    auto const gradients = model.store.gradients(target.level);
    for (auto const& range : model.ranges()) {
      for (auto i = range.begin; i < range.end; ++i) {
        float const value = gradient_of(first + microbatch, i);
        float& element = gradients(static_cast<std::size_t>(i));
        element = target.accumulate ? element + value : value;
      }
      if (target.last) reducer.gradients_ready(range, target);
    }
  }
  return reducer.finish(params::LocalGradients<float>(model.store));
}

std::vector<float> copy_of(Vector<float> const& values) {
  return std::vector<float>(values.data(), values.data() + values.extent(0));
}

/// Fails for the first element that is not the same to the last bit.
void expect_same_bits(std::vector<float> const& got, std::vector<float> const& expected,
                      std::string const& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (std::memcmp(&got[i], &expected[i], sizeof(float)) == 0) continue;
    ADD_FAILURE() << what << ": element " << i << " is " << got[i] << ", expected " << expected[i];
    return;
  }
}

/// One step on the replicas of `dp`, which share `tiles` batch tiles of `per_tile` microbatches: the sums.
std::vector<float> reduced(comm::Communicator& dp, int tiles, int per_tile, ReducerOptions const& options,
                           int steps = 1) {
  params::BatchTiles const own{tiles / dp.size(), per_tile};
  Model model(own.levels(), false);
  GradientReducer<float> reducer(model.store, ExecutionSpace(), dp, {}, options);
  for (int step = 1; step < steps; ++step) (void)run_step(model, reducer, own, 1000 * step);
  auto const gradients = run_step(model, reducer, own, dp.rank() * own.microbatches());
  return copy_of(gradients.store().gradients(0));
}

/// The balanced tree over batch tiles [first, first + count), element by element, written as recursion.
float tree_sum(std::int64_t i, int first, int count, int per_tile) {
  if (count > 1) {
    return tree_sum(i, first, count / 2, per_tile) + tree_sum(i, first + count / 2, count / 2, per_tile);
  }
  float sum = gradient_of(first * per_tile, i);
  for (int j = 1; j < per_tile; ++j) sum += gradient_of(first * per_tile + j, i);
  return sum;
}

std::vector<float> serial_tree(std::size_t size, int tiles, int per_tile) {
  std::vector<float> sums(size);
  for (std::size_t i = 0; i < size; ++i) sums[i] = tree_sum(static_cast<std::int64_t>(i), 0, tiles, per_tile);
  return sums;
}

TEST(GradientReducer, SumsOverAnyNumberOfReplicas) {
  support::for_each_group({1, 2, 3, 4, 8}, [](comm::Communicator& dp) {
    auto const got = reduced(dp, dp.size(), 2, {});
    for (std::size_t i = 0; i < got.size(); ++i) {
      double sum = 0, size = 0;
      for (int microbatch = 0; microbatch < 2 * dp.size(); ++microbatch) {
        sum += static_cast<double>(gradient_of(microbatch, static_cast<std::int64_t>(i)));
        size += std::abs(static_cast<double>(gradient_of(microbatch, static_cast<std::int64_t>(i))));
      }
      ASSERT_NEAR(got[i], sum, 1e-6 * size) << "element " << i;
    }
  });
}

TEST(GradientReducer, BucketSizeAndOverlapChangeNoBit) {
  support::for_each_group({2, 4, 8}, [](comm::Communicator& group) {
    auto const dp = comm::make_tree(group.duplicate());
    auto const expected = reduced(*dp, 8, 1, {});
    for (std::int64_t const bytes : {std::int64_t{1}, 3 * block * 4 + 17, std::int64_t{1} << 40}) {
      for (bool const overlap : {false, true}) {
        auto const what = std::to_string(bytes) + " bytes a bucket, overlap " + std::to_string(overlap);
        expect_same_bits(reduced(*dp, 8, 1, {bytes, overlap}), expected, what);
      }
    }
  });
}

TEST(GradientReducer, OverlapChangesNoBitOfTheBackendsOwnSums) {
  support::for_each_group({3, 8}, [](comm::Communicator& dp) {
    for (std::int64_t const bytes : {std::int64_t{1}, std::int64_t{1} << 40}) {
      expect_same_bits(reduced(dp, dp.size(), 1, {bytes, true}), reduced(dp, dp.size(), 1, {bytes, false}),
                       std::to_string(bytes) + " bytes a bucket");
    }
  });
}

TEST(GradientReducer, BatchTilesGiveTheSameBitsOnAnyNumberOfReplicas) {
  for (int const per_tile : {1, 3}) {
    std::vector<float> expected;
    support::for_each_group({1, 2, 4, 8}, [&](comm::Communicator& group) {
      auto const dp = comm::make_tree(group.duplicate());
      auto const got = reduced(*dp, 8, per_tile, {4 * block * 4, true});
      if (expected.empty()) expected = serial_tree(got.size(), 8, per_tile);
      expect_same_bits(got, expected, std::to_string(per_tile) + " microbatches a tile");
    });
  }
}

TEST(GradientReducer, StepsDoNotKnowOfEachOther) {
  support::for_each_group({1, 4}, [](comm::Communicator& group) {
    auto const dp = comm::make_tree(group.duplicate());
    expect_same_bits(reduced(*dp, 8, 1, {block * 4, true}, 3), reduced(*dp, 8, 1, {block * 4, true}),
                     "third step");
  });
}

/// The elements of one range of a store.
std::vector<float> part(std::vector<float> const& gradients, Range range) {
  return {gradients.begin() + range.begin, gradients.begin() + range.end};
}

TEST(GradientReducer, AddsTheSecondRoleOfATiedTensorLast) {
  support::for_each_group({1, 2, 8}, [](comm::Communicator& group) {
    auto const dp = comm::make_tree(group.duplicate());
    params::BatchTiles const tiles{8 / dp->size(), 1};
    Model model(tiles.levels(), true);
    GradientReducer<float> reducer(model.store, ExecutionSpace(), *dp, {model.table, model.second, nullptr},
                                   {});
    auto const gradients = run_step(model, reducer, tiles, dp->rank() * tiles.microbatches());
    auto const apart = serial_tree(model.store.gradients(0).extent(0), 8, 1);
    auto expected = part(apart, model.store[model.table].range);
    auto const second = part(apart, model.store[*model.second].range);
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += second[i];
    expect_same_bits(part(copy_of(gradients.store().gradients(0)), model.store[model.table].range), expected,
                     "table");
    auto const layer = model.store[model.layers[0]].range;
    expect_same_bits(part(copy_of(gradients.store().gradients(0)), layer), part(apart, layer),
                     "other tensors");
  });
}

/// Two stages of `replicas` replicas; the copies of the table are on ranks that differ in the stage alone.
TEST(GradientReducer, AddsTheRolesOfATiedTensorOfTwoStages) {
  support::for_each_group({2, 4, 8}, [](comm::Communicator& group) {
    int const replicas = group.size() / 2, stage = group.rank() / replicas, replica = group.rank() % replicas;
    auto const dp = comm::make_tree(group.split(stage, group.rank()));
    auto const pair = comm::make_tree(group.split(replica, group.rank()));
    params::BatchTiles const tiles{8 / replicas, 1};
    Model model(tiles.levels(), false);
    GradientReducer<float> reducer(model.store, ExecutionSpace(), *dp,
                                   {model.table, std::nullopt, pair.get()}, {});
    constexpr int head =
        100;  // the head's gradients are those of other microbatches, for they are other numbers
    (void)run_step(model, reducer, tiles, head * stage + replica * tiles.microbatches());
    auto const table = model.store[model.table].range;
    std::vector<float> expected;
    for (auto i = table.begin; i < table.end; ++i) {
      float sums[2] = {tree_sum(i, 0, 8, 1), tree_sum(i, head, 8, 1)};
      expected.push_back(sums[0] + sums[1]);
    }
    expect_same_bits(part(copy_of(model.store.gradients(0)), table), expected, "table");
  });
}

TEST(GradientReducer, RefusesToFinishBeforeAllGradientsAreReady) {
  auto const dp = support::group_of(1);
  Model model(1, false);
  GradientReducer<float> reducer(model.store, ExecutionSpace(), *dp, {}, {});
  auto const ranges = model.ranges();
  for (std::size_t i = 0; i + 1 < ranges.size(); ++i) reducer.gradients_ready(ranges[i], {});
  EXPECT_THROW((void)reducer.finish(params::LocalGradients<float>(model.store)), InternalError);
}

TEST(GradientReducer, RefusesGradientsOutOfOrder) {
  auto const dp = support::group_of(1);
  Model model(1, false);
  GradientReducer<float> reducer(model.store, ExecutionSpace(), *dp, {}, {});
  EXPECT_THROW(reducer.gradients_ready(model.ranges().at(1), {}), InternalError);
}

TEST(GradientReducer, RefusesGradientsOfAnotherStore) {
  auto const dp = support::group_of(1);
  Model model(1, false), other(1, false);
  GradientReducer<float> reducer(model.store, ExecutionSpace(), *dp, {}, {});
  for (auto const& range : model.ranges()) reducer.gradients_ready(range, {});
  EXPECT_THROW((void)reducer.finish(params::LocalGradients<float>(other.store)), InternalError);
}

}  // namespace
}  // namespace tessera::data_parallel
