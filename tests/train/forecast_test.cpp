// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/forecast.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tessera::train {
namespace {

/// tiny on tp = 2, pp = 2 (2 layers a stage), dp = 2: 4 microbatches a replica of 2 sequences of 128 tokens.
RunConfig eight_ranks(bool sequence_parallel = false) {
  RunConfig config;
  config.parallel.tp = 2;
  config.parallel.pp = 2;
  config.parallel.sequence_parallel = sequence_parallel;
  return config;
}

constexpr std::int64_t activation_bytes = 128 * 2 * 128 * 4;

/// Sum over the rows of an axis and operation on one stage; with `part`, over those of it.
Traffic find(std::vector<Traffic> const& rows, std::string_view axis, std::string_view operation,
             std::string_view part = "") {
  Traffic sum{axis, operation, part, 0, 0};
  for (Traffic const& row : rows) {
    bool const same = row.axis == axis && row.operation == operation && (part.empty() || row.part == part);
    sum.calls += same ? row.calls : 0;
    sum.bytes += same ? row.bytes : 0;
  }
  return sum;
}

/// Calls over tp of all stages together, for one microbatch.
std::int64_t calls_per_microbatch(RunConfig const& config, std::string_view operation,
                                  std::string_view part) {
  Layout const layout = resolve(config, 8);
  std::int64_t calls = 0;
  for (int stage = 0; stage < layout.pp; ++stage) {
    calls += find(step_traffic(config, layout, stage), "tp", operation, part).calls;
  }
  return calls / layout.microbatches_per_replica;
}

TEST(Forecast, LayersCommunicateAsTheParallelAlgebraSays) {
  std::int64_t const layers = 4;
  EXPECT_EQ(calls_per_microbatch(eight_ranks(), "all_reduce", "layers"), 4 * layers + 2);
  EXPECT_EQ(calls_per_microbatch(eight_ranks(), "all_reduce", "cross entropy"), 3);
  EXPECT_EQ(calls_per_microbatch(eight_ranks(true), "all_gather", "layers"), 6 * layers + 2);
  EXPECT_EQ(calls_per_microbatch(eight_ranks(true), "reduce_scatter", "layers"), 4 * layers + 2);
  EXPECT_EQ(calls_per_microbatch(eight_ranks(true), "all_reduce", "layers"), 0);
}

TEST(Forecast, LargeMessagesCarryWholeActivations) {
  RunConfig const config = eight_ranks();
  auto const sums = find(layer_traffic(config, resolve(config, 8), 0), "tp", "all_reduce");
  EXPECT_EQ(sums.calls, 4 * (4 * 2 + 1));
  EXPECT_EQ(sums.bytes, sums.calls * activation_bytes);
}

TEST(Forecast, DoublePrecisionDoublesActivations) {
  RunConfig config = eight_ranks();
  config.training.precision = "float64";
  auto const sums = find(layer_traffic(config, resolve(config, 8), 0), "tp", "all_reduce");
  EXPECT_EQ(sums.bytes, 2 * sums.calls * activation_bytes);
}

/// What is only moved is bf16, what is added float32.
TEST(Forecast, Bf16HalvesGathersAndBordersAndNoSum) {
  RunConfig const single = eight_ranks(true);
  RunConfig half = single;
  half.training.precision = "bf16";
  for (int stage = 0; stage < 2; ++stage) {
    auto const before = step_traffic(single, resolve(single, 8), stage);
    auto const after = step_traffic(half, resolve(half, 8), stage);
    ASSERT_EQ(before.size(), after.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
      auto const& operation = before[i].operation;
      bool const moved = operation == "all_gather" || operation == "send" || operation == "receive";
      EXPECT_EQ(after[i].calls, before[i].calls);
      EXPECT_EQ(after[i].bytes * (moved ? 2 : 1), before[i].bytes) << operation << " of " << before[i].part;
    }
  }
}

TEST(Forecast, StageBordersCarryOneMessageAMicrobatchEachWay) {
  RunConfig config = eight_ranks();
  config.parallel.tp = 1;
  config.parallel.pp = 4;
  Layout const layout = resolve(config, 8);
  for (int stage = 0; stage < 4; ++stage) {
    std::int64_t const borders = stage == 0 || stage == 3 ? 1 : 2;
    for (std::string_view const operation : {"send", "receive"}) {
      auto const row = find(pipeline_traffic(config, layout, stage), "pp", operation);
      EXPECT_EQ(row.calls, borders * layout.microbatches_per_replica);
      EXPECT_EQ(row.bytes, row.calls * activation_bytes);
    }
  }
}

TEST(Forecast, SequenceParallelStagesSendTheirShard) {
  RunConfig const whole = eight_ranks();
  RunConfig const shard = eight_ranks(true);
  EXPECT_EQ(find(pipeline_traffic(whole, resolve(whole, 8), 0), "pp", "send").bytes,
            2 * find(pipeline_traffic(shard, resolve(shard, 8), 0), "pp", "send").bytes);
}

TEST(Forecast, BucketsCarryEveryGradientOnce) {
  RunConfig config = eight_ranks();
  config.parallel.bucket_bytes = 100'000;
  Layout const layout = resolve(config, 8);
  auto const row = find(bucket_traffic(config, layout, 0), "dp", "all_reduce");
  EXPECT_EQ(row.bytes, 4 * gradient_elements(config, layout, 0).total());
  std::int64_t const bucket_bytes = 100'000 / (4 * 4096) * (4 * 4096);
  EXPECT_EQ(row.calls, (row.bytes + bucket_bytes - 1) / bucket_bytes);
}

TEST(Forecast, AlignedTilesHoldAllParametersAndTheTiedRole) {
  // With a hidden size of 4096 every tile is a multiple of the alignment, so the counts are exact.
  RunConfig config;
  config.model.layers = 3;
  config.model.hidden_size = 4096;
  config.model.heads = 8;
  config.model.vocab_size = 512;
  config.parallel.tp = 1;
  Layout const layout = resolve(config, 1);
  GradientElements const elements = gradient_elements(config, layout, 0);
  EXPECT_EQ(elements.tied_role, 512 * 4096);
  EXPECT_EQ(elements.replicated + elements.cut, model::parameter_count(config.model));
}

TEST(Forecast, OnlySequenceParallelismSumsReplicatedGradients) {
  RunConfig config = eight_ranks();
  EXPECT_TRUE(replicated_gradient_traffic(config, resolve(config, 8), 0).empty());
  config = eight_ranks(true);
  EXPECT_EQ(find(replicated_gradient_traffic(config, resolve(config, 8), 0), "tp", "all_reduce").calls, 1);
}

TEST(Forecast, TheTiedEmbeddingIsSummedBetweenFirstAndLastStage) {
  RunConfig config = eight_ranks();
  config.parallel.tp = 2;
  config.parallel.pp = 4;
  Layout const layout = resolve(config, 8);
  for (int stage = 0; stage < 4; ++stage) {
    auto const row = find(tied_embedding_traffic(config, layout, stage), "tied", "all_reduce");
    EXPECT_EQ(row.calls, stage == 0 || stage == 3 ? 1 : 0);
    EXPECT_EQ(row.bytes, row.calls * 256 / 2 * 128 * 4);
  }
}

TEST(Forecast, LossAndGradientNormAreOneCallOverAllRanks) {
  RunConfig const config = eight_ranks();
  auto const rows = bookkeeping_traffic(config, resolve(config, 8), 0);
  ASSERT_EQ(rows.size(), 1u);
  // A double for each of 8 microbatches and each (tensor, tile): with T = 2 the table, a block and the two
  // ends have 2, 6 + 6 * 2 and 1 + 2 of them.
  EXPECT_EQ(rows.front(),
            (Traffic{"world", "all_reduce", "loss and gradient norm", 1, 8 * (8 + 2 + 4 * 18 + 3)}));
}

TEST(Forecast, AxesOfOneRankAreSilent) {
  RunConfig config;
  EXPECT_TRUE(step_traffic(config, resolve(config, 1), 0).empty());
  config.parallel.sequence_parallel = true;
  EXPECT_TRUE(step_traffic(config, resolve(config, 1), 0).empty());
}

TEST(Forecast, TotalsKeepCallsAndBytes) {
  RunConfig const config = eight_ranks(true);
  auto const rows = step_traffic(config, resolve(config, 8), 1);
  auto const sums = totals(rows);
  for (Traffic const& sum : sums) {
    Traffic const expected = find(rows, sum.axis, sum.operation);
    EXPECT_EQ(sum.calls, expected.calls);
    EXPECT_EQ(sum.bytes, expected.bytes);
  }
  EXPECT_LT(sums.size(), rows.size());
}

}  // namespace
}  // namespace tessera::train
