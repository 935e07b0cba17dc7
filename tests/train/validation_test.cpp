// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/validation.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "tessera/base/error.hpp"
#include "tessera/base/kokkos.hpp"
#include "tessera/base/stream_graph.hpp"
#include "tessera/train/forecast.hpp"
#include "tessera/train/memory.hpp"

namespace tessera::train {
namespace {

using Change = std::function<void(RunConfig&)>;

std::vector<std::string> problems_after(Change const& change, int ranks = 1) {
  RunConfig config;
  change(config);
  return problems(config, ranks);
}

/// The change makes exactly one problem, whose sentence has both parts.
void expect_problem(Change const& change, int ranks, std::string const& what, std::string const& advice) {
  auto const found = problems_after(change, ranks);
  ASSERT_EQ(found.size(), 1u) << what << "\n" << (found.empty() ? "" : found.front() + "\n" + found.back());
  EXPECT_NE(found.front().find(what), std::string::npos) << found.front();
  EXPECT_NE(found.front().find(advice), std::string::npos) << found.front();
}

model::ModelConfig shape(std::int64_t layers, std::int64_t hidden, std::int64_t heads, std::int64_t vocab,
                         std::int64_t positions) {
  model::ModelConfig config;
  config.layers = layers;
  config.hidden_size = hidden;
  config.heads = heads;
  config.vocab_size = vocab;
  config.max_positions = positions;
  return config;
}

TEST(ModelConfig, ParameterCountsArePublishedOnes) {
  EXPECT_EQ(model::parameter_count(shape(12, 768, 12, 50257, 1024)), 124'439'808);
  EXPECT_EQ(model::parameter_count(shape(48, 1600, 25, 50257, 1024)), 1'557'611'200);
  EXPECT_EQ(model::parameter_count(shape(96, 12288, 96, 50257, 2048)), 174'604'259'328);
}

TEST(ModelConfig, FlopsPerTokenCountParametersAndScores) {
  EXPECT_EQ(model::flops_per_token(shape(12, 768, 12, 50257, 1024), 1024),
            6.0 * 124'439'808 + 12.0 * 12 * 768 * 1024);
}

TEST(Validation, TheDefaultsRunOnOneRank) { EXPECT_TRUE(problems(RunConfig{}, 1).empty()); }

TEST(Validation, AGraphNeedsAGpuAndOneRankWithoutMpi) {
  auto const asks = [](RunConfig& c) { c.parallel.cuda_graph = true; };
  if (make_stream_graph() == nullptr) {
    expect_problem(asks, 1, "keeps its tensors elsewhere", "leave --cuda-graph out");
    return;
  }
  expect_problem(asks, 2, "one rank alone, but the job has 2", "start one");
  expect_problem([](RunConfig& c) { c.parallel.cuda_graph = true, c.parallel.backend = "mpi"; }, 1,
                 "does not record calls of MPI", "loopback");
}

TEST(Validation, DegreesThatDoNotMakeTheRanksAreNamedWithWhatWould) {
  expect_problem([](RunConfig& c) { c.parallel.tp = 2, c.parallel.pp = 2, c.parallel.dp = 4; }, 8,
                 "parallel.tp = 2 x parallel.pp = 2 x parallel.dp = 4 make 16 ranks but the job has 8",
                 "start 16, or take dp = 2");
  expect_problem([](RunConfig& c) { c.parallel.tp = 2, c.parallel.pp = 3; }, 8,
                 "parallel.tp = 2 x parallel.pp = 3 need a multiple of 6 ranks but the job has 8", "6 or 12");
}

TEST(Validation, IllegalTensorParallelDegreesNameTheLargestLegalOne) {
  expect_problem([](RunConfig& c) { c.model.hidden_size = 768, c.model.heads = 12, c.parallel.tp = 8; }, 8,
                 "parallel.tp = 8 does not divide model.heads = 12", "largest legal tp up to it is 6");
  Change const gpt2_in_tiles = [](RunConfig& c) {
    c.model.hidden_size = 768, c.model.heads = 12, c.parallel.tp = 8, c.parallel.tiles = 8;
  };
  expect_problem(gpt2_in_tiles, 8, "the 4 head tiles of model.heads = 12", "the largest legal tp is 4");
}

TEST(Validation, ExplicitTilesAskForPowersOfTwo) {
  expect_problem([](RunConfig& c) { c.parallel.tiles = 6; }, 1, "parallel.tiles = 6 must be a power of two",
                 "4");
  expect_problem([](RunConfig& c) { c.parallel.batch_tiles = 3; }, 1,
                 "parallel.batch_tiles = 3 must be a power", "2");
  expect_problem([](RunConfig& c) { c.parallel.tiles = 8, c.parallel.tp = 3; }, 3, "parallel.tp = 3",
                 "legal tp is 8");
  Change const three_replicas = [](RunConfig& c) { c.parallel.tiles = 8, c.batch.global_batch_size = 24; };
  expect_problem(three_replicas, 3, "parallel.dp = 3 must be a power of two", "for example 2");
  EXPECT_TRUE(problems_after([](RunConfig& c) { c.batch.global_batch_size = 24; }, 3).empty())
      << "tiles auto";
}

TEST(Validation, ExplicitTilesDivideFeedForwardAndSequence) {
  expect_problem([](RunConfig& c) { c.parallel.tiles = 8, c.model.ffn_hidden_size = 340; }, 1,
                 "does not divide the feed-forward size 340", "largest legal number of tiles is 4");
  expect_problem([](RunConfig& c) { c.parallel.tiles = 8, c.batch.seq_length = 100; }, 1,
                 "batch.seq_length = 100", "take 96 or 104");
}

TEST(Validation, ThreeTensorParallelRanksAreLegalWithAutomaticTiles) {
  Change const three = [](RunConfig& c) { c.model.hidden_size = 96, c.model.heads = 6, c.parallel.tp = 3; };
  EXPECT_TRUE(problems_after(three, 3).empty());
}

TEST(Validation, BatchesThatDoNotDivideAreRoundedForTheUser) {
  expect_problem([](RunConfig& c) { c.batch.global_batch_size = 21; }, 4,
                 "batch.global_batch_size = 21 is not a multiple of batch.micro_batch_size = 2 x 4 replicas",
                 "take 16 or 24");
  expect_problem([](RunConfig& c) { c.batch.global_batch_size = 1; }, 1, "batch.global_batch_size = 1",
                 "take 2");
}

TEST(Validation, BatchTilesDivideMicrobatchesAndHoldReplicas) {
  expect_problem([](RunConfig& c) { c.parallel.batch_tiles = 16; }, 1, "does not divide the 8 microbatches",
                 "is 8");
  expect_problem([](RunConfig& c) { c.parallel.batch_tiles = 2; }, 4,
                 "parallel.batch_tiles = 2 is not a multiple", "4");
  expect_problem([](RunConfig& c) { c.parallel.tiles = 2; }, 4,
                 "parallel.dp = 4 does not divide the 2 batch tiles", "set parallel.batch_tiles = 4");
}

TEST(Validation, StagesHaveLayers) {
  expect_problem([](RunConfig& c) { c.parallel.pp = 8; }, 8, "parallel.pp = 8 is more than model.layers = 4",
                 "largest legal pp is 4");
  expect_problem(
      [](RunConfig& c) {
        c.parallel.pp = 2, c.parallel.pipeline_layers = {1, 2, 1};
      },
      2, "has 3 stages but parallel.pp = 2", "give 2 numbers");
  expect_problem(
      [](RunConfig& c) {
        c.parallel.pp = 2, c.parallel.pipeline_layers = {1, 2};
      },
      2, "parallel.pipeline_layers = [1, 2] sum to 3", "model.layers = 4");
  expect_problem(
      [](RunConfig& c) {
        c.parallel.pp = 2, c.parallel.pipeline_layers = {4, 0};
      },
      2, "parallel.pipeline_layers: a stage = 0", "from 1");
}

TEST(Validation, SequencesFitPositionsAndShards) {
  expect_problem([](RunConfig& c) { c.batch.seq_length = 512; }, 1, "batch.seq_length = 512 is longer than",
                 "model.max_positions = 256");
  Change const odd = [](RunConfig& c) {
    c.parallel.tp = 2, c.parallel.sequence_parallel = true, c.batch.seq_length = 101;
  };
  expect_problem(odd, 2, "batch.seq_length = 101 is not a multiple of parallel.tp = 2", "take 100 or 102");
}

TEST(Validation, SingleValuesAreHeldToTheirRanges) {
  double const nan = std::nan("");
  std::pair<char const*, Change> const wrong[] = {
      {"model.layers", [](RunConfig& c) { c.model.layers = 0; }},
      {"model.hidden_size",
       [](RunConfig& c) { c.model.hidden_size = std::numeric_limits<std::int64_t>::max(); }},
      {"model.heads", [](RunConfig& c) { c.model.heads = -1; }},
      {"model.hidden_size = 100 is not a multiple", [](RunConfig& c) { c.model.hidden_size = 100; }},
      {"model.ffn_hidden_size", [](RunConfig& c) { c.model.ffn_hidden_size = -4; }},
      {"model.vocab_size", [](RunConfig& c) { c.model.vocab_size = 0; }},
      {"model.max_positions", [](RunConfig& c) { c.model.max_positions = 0; }},
      {"model.attention_dropout", [](RunConfig& c) { c.model.attention_dropout = 1; }},
      {"model.hidden_dropout", [=](RunConfig& c) { c.model.hidden_dropout = nan; }},
      {"model.layer_norm_epsilon", [](RunConfig& c) { c.model.layer_norm_epsilon = 0; }},
      {"model.init_stddev", [](RunConfig& c) { c.model.init_stddev = -1; }},
      {"parallel.tp", [](RunConfig& c) { c.parallel.tp = 0; }},
      {"parallel.pp", [](RunConfig& c) { c.parallel.pp = std::numeric_limits<int>::max(); }},
      {"parallel.dp", [](RunConfig& c) { c.parallel.dp = -1; }},
      {"parallel.tiles", [](RunConfig& c) { c.parallel.tiles = -8; }},
      {"parallel.ranks_per_node", [](RunConfig& c) { c.parallel.ranks_per_node = -1; }},
      {"parallel.bucket_bytes", [](RunConfig& c) { c.parallel.bucket_bytes = 0; }},
      {"parallel.schedule = \"1f1f\" must be one of: gpipe, 1f1b",
       [](RunConfig& c) { c.parallel.schedule = "1f1f"; }},
      {"parallel.mesh_order", [](RunConfig& c) { c.parallel.mesh_order = "tp,tp,pp"; }},
      {"parallel.tp_backend = \"nvlink\" must be one of: auto, mpi, hierarchical, nccl",
       [](RunConfig& c) { c.parallel.tp_backend = "nvlink"; }},
      {"parallel.pp_backend = \"hierarchical\"",
       [](RunConfig& c) { c.parallel.pp_backend = "hierarchical"; }},
      {"data.path", [](RunConfig& c) { c.data.path = ""; }},
      {"data.format", [](RunConfig& c) { c.data.format = "parquet"; }},
      {"data.validation_fraction", [](RunConfig& c) { c.data.validation_fraction = 1; }},
      {"batch.seq_length", [](RunConfig& c) { c.batch.seq_length = 0; }},
      {"batch.micro_batch_size", [](RunConfig& c) { c.batch.micro_batch_size = 0; }},
      {"batch.global_batch_size", [](RunConfig& c) { c.batch.global_batch_size = -16; }},
      {"optimizer.lr", [=](RunConfig& c) { c.optimizer.lr = nan; }},
      {"optimizer.min_lr", [](RunConfig& c) { c.optimizer.min_lr = 1; }},
      {"optimizer.warmup_steps", [](RunConfig& c) { c.optimizer.warmup_steps = -1; }},
      {"optimizer.decay_steps", [](RunConfig& c) { c.optimizer.decay_steps = 10; }},
      {"optimizer.weight_decay", [](RunConfig& c) { c.optimizer.weight_decay = -0.1; }},
      {"optimizer.beta1", [](RunConfig& c) { c.optimizer.beta1 = 1; }},
      {"optimizer.beta2", [](RunConfig& c) { c.optimizer.beta2 = -1; }},
      {"optimizer.epsilon", [](RunConfig& c) { c.optimizer.epsilon = 0; }},
      {"optimizer.clip_grad", [](RunConfig& c) { c.optimizer.clip_grad = INFINITY; }},
      {"training.steps", [](RunConfig& c) { c.training.steps = -1; }},
      {"training.seed", [](RunConfig& c) { c.training.seed = -1; }},
      {"training.eval_interval", [](RunConfig& c) { c.training.eval_interval = -1; }},
      {"training.eval_batches", [](RunConfig& c) { c.training.eval_batches = 0; }},
      {"training.log_interval", [](RunConfig& c) { c.training.log_interval = 0; }},
      {"training.precision", [](RunConfig& c) { c.training.precision = "float16"; }},
      {"training.on_nonfinite", [](RunConfig& c) { c.training.on_nonfinite = "pray"; }},
      {"sample.length", [](RunConfig& c) { c.sample.length = -1; }},
      {"sample.temperature", [](RunConfig& c) { c.sample.temperature = -0.5; }},
  };
  for (auto const& [name, change] : wrong) expect_problem(change, 1, name, "");
}

TEST(Validation, OptionsOfADynamicLossScaleGoWithFp16AndNotWithAStaticScale) {
  auto const begins_low = [](RunConfig& c) { c.optimizer.initial_loss_scale = 1 << 10; };
  RunConfig config;
  config.training.precision = "fp16";
  begins_low(config);
  EXPECT_TRUE(problems(config, 1).empty());
  expect_problem([&](RunConfig& c) { c.training.precision = "bf16", begins_low(c); }, 1,
                 "optimizer.initial_loss_scale goes with optimizer.loss_scale = auto",
                 "optimizer.loss_scale = 1");
  expect_problem(
      [&](RunConfig& c) { c.training.precision = "fp16", c.optimizer.loss_scale = 64, begins_low(c); }, 1,
      "optimizer.initial_loss_scale goes with optimizer.loss_scale = auto", "optimizer.loss_scale = 64");
  expect_problem([](RunConfig& c) { c.optimizer.loss_scale = -2; }, 1, "optimizer.loss_scale = -2",
                 "auto or a power of two");
}

TEST(Validation, NcclIsRefusedWhereTensorsLieOnTheHost) {
  if (!tensors_on_host) GTEST_SKIP() << "in this build tensors lie on GPUs, where nccl is a right choice";
  expect_problem([](RunConfig& c) { c.parallel.dp_backend = "nccl"; }, 1,
                 "parallel.dp_backend = \"nccl\" moves the memory of GPUs",
                 "choose auto, mpi or hierarchical");
}

TEST(Validation, SizesWhoseProductsOverflowAreNamed) {
  auto const large = [](RunConfig& c) {
    c.model.layers = 10'000, c.model.hidden_size = 1 << 20, c.model.vocab_size = 2'147'483'647;
    c.model.heads = 1 << 13;
  };
  expect_problem(large, 1, "model.layers = 10000, model.hidden_size = 1048576", "take a smaller model");
  expect_problem([](RunConfig& c) { c.batch.global_batch_size = 2'000'000'000; }, 1,
                 "batch.global_batch_size = 2000000000 makes 1000000000 microbatches", "more replicas");
  Change const tokens = [](RunConfig& c) {
    c.batch.global_batch_size = 1 << 20, c.training.steps = std::int64_t{1} << 32;
    c.batch.seq_length = c.model.max_positions = 1 << 13;
  };
  expect_problem(tokens, 1, "training.steps = 4294967296", "more tokens than 64 bits");
  Change const tiles = [](RunConfig& c) {
    c.model.layers = 16'000, c.model.ffn_hidden_size = 1 << 20, c.parallel.tiles = 1 << 14;
    c.batch.seq_length = c.model.max_positions = 1 << 14, c.batch.global_batch_size = 2;
  };
  expect_problem(tiles, 1, "parallel.tiles = 16384", "take fewer tiles");
}

/// Whatever passes can be planned and forecast without an overflow; the undefined-behaviour sanitiser
/// watches.
TEST(Validation, ForecastsOfTheLargestSizesAreFiniteAndPositive) {
  int forecasts = 0;
  for (std::int64_t const hidden : {128, 1 << 14, 1 << 20}) {
    for (std::int64_t const layers : {4, 1000}) {
      for (std::int64_t const vocab : {256, std::numeric_limits<std::int32_t>::max()}) {
        for (std::int64_t const batch : {std::int64_t{16}, std::int64_t{1} << 20, std::int64_t{1} << 30}) {
          for (int const ranks : {4, 1 << 20}) {
            RunConfig c;
            c.model.hidden_size = hidden, c.model.layers = layers, c.model.vocab_size = vocab;
            c.batch.global_batch_size = batch, c.parallel.pp = 4, c.training.precision = "float64";
            if (!problems(c, ranks).empty()) continue;
            ++forecasts;
            auto const layout = resolve(c, ranks);
            EXPECT_GT(predict_memory(c, make_plan(c, layout, {})).total_bytes(), 0u);
            for (auto const& row : step_traffic(c, layout, 0)) {
              EXPECT_GT(row.calls, 0);
              EXPECT_GT(row.bytes, 0);
              std::int64_t product = 0;
              EXPECT_FALSE(__builtin_mul_overflow(row.bytes, ranks / 4, &product)) << row.part;
            }
          }
        }
      }
    }
  }
  EXPECT_GT(forecasts, 20);
}

TEST(Validation, AllProblemsAreFoundAtOnce) {
  Change const mess = [](RunConfig& c) {
    c.parallel.tp = 3, c.parallel.pp = 5, c.batch.seq_length = 1000, c.optimizer.lr = 0,
    c.data.format = "csv";
  };
  EXPECT_EQ(problems_after(mess, 8).size(), 6u) << "lr, format, ranks, stages, heads and positions";
}

TEST(Validation, AProblemOfTheLayoutHidesNoOther) {
  Change const tiles = [](RunConfig& c) { c.parallel.tiles = 7, c.batch.seq_length = 1000; };
  EXPECT_EQ(problems_after(tiles, 1).size(), 2u) << "tiles and positions";
  Change const ranks = [](RunConfig& c) { c.parallel.tp = 2, c.parallel.dp = 3, c.batch = {128, 2, 15}; };
  auto const found = problems_after(ranks, 8);
  ASSERT_EQ(found.size(), 2u) << "ranks and batch";
  EXPECT_NE(found[1].find("2 x 3 replicas (parallel.dp): take 12 or 18"), std::string::npos) << found[1];
  Change const no_grid = [](RunConfig& c) { c.parallel.tp = 0, c.batch = {1000, 2, 15}; };
  auto const without = problems_after(no_grid, 8);
  ASSERT_EQ(without.size(), 3u) << "tp, positions and batch";
  EXPECT_NE(without[2].find("batch.micro_batch_size = 2: take 14 or 16"), std::string::npos) << without[2];
}

TEST(Resolve, DerivesWhatIsLeftOpen) {
  RunConfig config;
  config.model.vocab_size = 257;
  config.model.layers = 6;
  config.parallel.tp = 2;
  config.parallel.pp = 4;
  config.parallel.tiles = 8;

  Layout const layout = resolve(config, 16);

  EXPECT_EQ(layout.dp, 2);
  EXPECT_EQ(layout.ranks(), 16);
  EXPECT_EQ(layout.tiles, 8);
  EXPECT_EQ(layout.head_tiles, 8);
  EXPECT_EQ(layout.batch_tiles, 8);
  EXPECT_EQ(layout.microbatches, 8);
  EXPECT_EQ(layout.microbatches_per_replica, 4);
  EXPECT_EQ(layout.ffn_hidden_size, 512);
  EXPECT_EQ(layout.padded_vocab_size, 264);
  EXPECT_EQ(layout.decay_steps, 200);
  EXPECT_EQ(layout.stage_layers, (std::vector<std::int64_t>{2, 2, 1, 1}));
}

TEST(Resolve, AutomaticTilesAreOneARank) {
  RunConfig config;
  config.parallel.tp = 2;
  Layout const layout = resolve(config, 8);
  EXPECT_FALSE(layout.explicit_tiles);
  EXPECT_EQ(layout.tiles, 2);
  EXPECT_EQ(layout.head_tiles, 2);
  EXPECT_EQ(layout.batch_tiles, 4);
}

TEST(Resolve, ThrowsEveryProblem) {
  RunConfig config;
  config.parallel.tp = 3;
  config.optimizer.lr = -1;
  try {
    (void)resolve(config, 3);
    FAIL() << "no error";
  } catch (ConfigError const& error) {
    EXPECT_EQ(error.problems(), problems(config, 3));
    EXPECT_EQ(error.code(), ExitCode::config);
  }
}

TEST(Resolve, HeadTilesAreTheLargestPowerOfTwoThatDivides) {
  EXPECT_EQ(head_tile_count(8, 12), 4);
  EXPECT_EQ(head_tile_count(8, 16), 8);
  EXPECT_EQ(head_tile_count(8, 20), 4);
  EXPECT_EQ(head_tile_count(8, 25), 1);
  EXPECT_EQ(head_tile_count(2, 16), 2);
}

}  // namespace
}  // namespace tessera::train
