// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "recorded.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tessera/base/error.hpp"

namespace tessera::recorded {
namespace {

class RecordingOf : public ::testing::TestWithParam<char const*> {
 protected:
  Recording const recording_ = read(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Precisions, RecordingOf, ::testing::Values("float32", "float64"));

std::int64_t size(Tensor const& tensor) {
  return std::accumulate(tensor.shape.begin(), tensor.shape.end(), std::int64_t{1}, std::multiplies<>());
}

TEST_P(RecordingOf, InitialWeightsEqualTheFormula) {
  EXPECT_EQ(recording_.initial_weights.size(), 28u);
  for (auto const& [name, checks] : recording_.initial_weights) {
    EXPECT_EQ(checks.size(), 3u) << name;
    for (auto const& [index, value] : checks)
      EXPECT_EQ(initial_weight(name, index), value) << name << " " << index;
  }
}

TEST_P(RecordingOf, InitialWeightsAreExactInFloat) {
  for (std::int64_t i = 0; i < 1000; ++i) {
    for (auto const* name : {"final_norm.gamma", "layers.0.mlp.up.weight"}) {
      double const value = initial_weight(name, i);
      EXPECT_EQ(static_cast<double>(static_cast<float>(value)), value);
      EXPECT_LE(std::abs(value - (name[0] == 'f')), 0.125);
    }
  }
}

TEST_P(RecordingOf, TokensEqualTheFormula) {
  auto const& config = recording_.config;
  ASSERT_EQ(recording_.tokens.size(), static_cast<std::size_t>(config.global_batch_size));
  for (int sequence = 0; sequence < config.global_batch_size; ++sequence) {
    auto const& row = recording_.tokens[static_cast<std::size_t>(sequence)];
    ASSERT_EQ(row.size(), static_cast<std::size_t>(config.sequence_length + 1));
    for (int position = 0; position <= config.sequence_length; ++position) {
      EXPECT_EQ(row[static_cast<std::size_t>(position)], token(config, sequence, position));
    }
  }
}

TEST_P(RecordingOf, HoldsEveryTensorWhole) {
  auto const& config = recording_.config;
  std::vector<std::int64_t> const logits = {config.sequence_length, config.microbatch_size,
                                            config.vocabulary};
  EXPECT_EQ(recording_.logits.shape, logits);
  EXPECT_EQ(recording_.gradients.size(), static_cast<std::size_t>(4 + 12 * config.layers));
  for (auto const& [name, gradient] : recording_.gradients) {
    EXPECT_EQ(size(gradient), static_cast<std::int64_t>(gradient.values.size())) << name;
    EXPECT_TRUE(recording_.final_weights.contains(name)) << name;
  }
  std::vector<std::int64_t> const qkv = {3, config.heads, config.hidden / config.heads, config.hidden};
  EXPECT_EQ(recording_.gradients.at("layers.1.attention.qkv.weight").shape, qkv);
}

TEST_P(RecordingOf, NormOfTheRecordedGradientsIsTheRecordedNorm) {
  double squares = 0;
  for (auto const& [name, gradient] : recording_.gradients)
    squares += std::pow(checksum(gradient.values).norm, 2);
  double const tolerance = GetParam() == std::string("float32") ? 1e-7 : 1e-14;
  EXPECT_NEAR(std::sqrt(squares) / recording_.gradient_norms.front(), 1, tolerance);
}

TEST_P(RecordingOf, LossStartsNearTheUniformOneAndFalls) {
  EXPECT_EQ(recording_.losses.size(), static_cast<std::size_t>(recording_.config.steps));
  EXPECT_NEAR(recording_.losses.front(), std::log(recording_.config.vocabulary), 0.2);
  for (std::size_t i = 1; i < recording_.losses.size(); ++i)
    EXPECT_LT(recording_.losses[i], recording_.losses[i - 1]);
}

TEST(Recording, ChecksumSeesElementsThatChangedPlaces) {
  auto const a = checksum({1, 2, 5});
  auto const b = checksum({2, 1, 5});
  EXPECT_EQ(a.sum, 8);
  EXPECT_EQ(a.norm, std::sqrt(30.0));
  EXPECT_DOUBLE_EQ(a.ramp, (1 + 4 + 15) / 3.0);
  EXPECT_NE(a.ramp, b.ramp);
}

TEST(Recording, OfAnUnknownPrecisionSaysHowToMakeIt) {
  try {
    static_cast<void>(read("float8"));
    FAIL() << "no error";
  } catch (DataError const& error) {
    EXPECT_NE(std::string(error.what()).find("generate_gpt2.py"), std::string::npos);
  }
}

}  // namespace
}  // namespace tessera::recorded
