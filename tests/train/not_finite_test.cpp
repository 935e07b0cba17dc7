// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "layouts.hpp"
#include "support/parallel.hpp"
#include "tessera/comm/collectives.hpp"

namespace tessera::train::test {
namespace {

std::vector<float> copy(Vector<float> const& values) {
  return {values.data(), values.data() + values.extent(0)};
}

bool same_bits(std::vector<float> const& a, std::vector<float> const& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// A weight that every rank of a layout uses for every token: the first of the stage's first norm.
float& used_weight(params::ParameterStore<float>& store) {
  for (params::ParameterId id = 0;; ++id) {
    if (store[id].spec.name.ends_with("attention_norm.gamma")) return store.value(id)(0);
  }
}

/// One weight of one rank becomes `poison`: no rank may update, and all must say so.
void poison_each_rank(TrainingRun<float>& run, float poison) {
  auto& trainer = run.trainer();
  auto& store = trainer.stage().store();
  ASSERT_FALSE(trainer.step().skipped);
  for (int rank = 0; rank < run.mesh().size(); ++rank) {
    SCOPED_TRACE("poison on rank " + std::to_string(rank));
    bool const mine = run.mesh().rank() == rank;
    float& weight = used_weight(store);
    float const healthy = weight;
    if (mine) weight = poison;
    auto const weights = copy(store.values()), first = copy(store.first_moments()),
               second = copy(store.second_moments());
    auto const report = trainer.step();
    EXPECT_TRUE(report.skipped);
    EXPECT_TRUE(same_bits(copy(store.values()), weights));
    EXPECT_TRUE(same_bits(copy(store.first_moments()), first));
    EXPECT_TRUE(same_bits(copy(store.second_moments()), second));
    if (mine) weight = healthy;
    EXPECT_FALSE(trainer.step().skipped) << "after the cure";
  }
}

TEST(NotFinite, OnOneRankMakesAllRanksSkipTheStep) {
  TokenFile const tokens(64, 20'000);
  auto const config = small_run(tokens);
  std::vector<LayoutCase> const layouts{
      {{2, 1, 1}, true}, {{1, 2, 1}}, {{1, 1, 2}}, {{2, 2, 1}}, {{2, 1, 2}, true}};
  for (auto const& layout : layouts) {
    SCOPED_TRACE(layout.name());
    auto const group = support::group_of(layout.shape.size());
    if (!group) continue;
    TrainingRun<float> run(group->duplicate(), layout.applied_to(config));
    poison_each_rank(run, std::numeric_limits<float>::quiet_NaN());
    poison_each_rank(run, std::numeric_limits<float>::infinity());
  }
}

/// What the layout matrix says when something differs.
TEST(Difference, NamesTensorTileElementAndRank) {
  TokenFile const tokens(64, 20'000);
  auto config = small_run(tokens);
  config.parallel.dp = 1;
  TrainingRun<float> run(support::group_of(1)->duplicate(), config);
  auto image = run.image(Kind::value);
  EXPECT_EQ(run.difference(Kind::value, image), "");
  // The 24 positions come after the 64 tokens; then gamma and beta of the first norm; then qkv (3, 8, 8, 64).
  std::size_t const qkv = 64 * 64 + 24 * 64 + 2 * 64, inside = 2 * 8 * 8 * 64 + 5 * 8 * 64 + 3;
  std::uint32_t bits = 0;
  std::memcpy(&bits, &image[qkv + inside], sizeof bits);
  bits ^= 1;
  std::memcpy(&image[qkv + inside], &bits, sizeof bits);
  image.back() = 7;
  auto const text = run.difference(Kind::value, image);
  EXPECT_NE(text.find("value of layers.0.attention.qkv.weight, tile 5 of 8, element 1027"), std::string::npos)
      << text;
  EXPECT_NE(text.find("on rank 0 (tp 0, pp 0, dp 0)"), std::string::npos) << text;
}

}  // namespace
}  // namespace tessera::train::test
