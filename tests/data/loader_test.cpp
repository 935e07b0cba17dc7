// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/data/loader.hpp"

#include <gtest/gtest.h>

#include "data_files.hpp"

namespace tessera::data::test {
namespace {

constexpr std::int64_t S = 8;

class LoaderTest : public ::testing::Test {
 protected:
  struct Microbatch {
    std::vector<std::int32_t> tokens;
    std::vector<std::int32_t> targets;
    bool operator==(Microbatch const&) const = default;
  };

  static Microbatch empty(std::int64_t micro_batch) {
    std::vector<std::int32_t> const rows(static_cast<std::size_t>(S * micro_batch), -1);
    return {rows, rows};
  }

  /// The sequences of one step, S tokens and the last target each, in the order of the global batch.
  static std::vector<std::vector<std::int32_t>> global_batch(BatchLoader& loader, std::int64_t micro_batch,
                                                             std::int64_t step) {
    std::vector<std::vector<std::int32_t>> sequences;
    for (std::int64_t m = 0; m < loader.microbatches(); ++m) {
      auto [tokens, targets] = empty(micro_batch);
      loader.training_microbatch(step, m, tokens, targets);
      for (std::int64_t b = 0; b < micro_batch; ++b) {
        auto& sequence = sequences.emplace_back();
        for (std::int64_t s = 0; s < S; ++s)
          sequence.push_back(tokens[static_cast<std::size_t>(s * micro_batch + b)]);
        sequence.push_back(targets[static_cast<std::size_t>((S - 1) * micro_batch + b)]);
      }
    }
    return sequences;
  }

  DatasetOptions options() const {
    DatasetOptions made;
    made.path = folder_.write("counting.bin", raw(counting<std::uint16_t>(1000)));
    made.seq_length = S;
    made.vocab_size = 1000;
    made.seed = 3;
    return made;
  }

  TemporaryFolder folder_;
  Dataset dataset_{options()};
};

TEST_F(LoaderTest, MicrobatchesAreSequenceMajorAndTargetsAreTheNextTokens) {
  std::int64_t const B = 3;
  BatchLoader loader(dataset_, 2 * B, B);
  auto [tokens, targets] = empty(B);
  loader.training_microbatch(4, 1, tokens, targets);
  for (std::int64_t b = 0; b < B; ++b) {
    std::vector<std::int32_t> sample(S + 1);
    dataset_.read_training(4 * 2 * B + B + b, sample);
    for (std::int64_t s = 0; s < S; ++s) {
      auto const row = static_cast<std::size_t>(s * B + b);
      EXPECT_EQ(tokens[row], sample[static_cast<std::size_t>(s)]);
      EXPECT_EQ(targets[row], sample[static_cast<std::size_t>(s) + 1]);
    }
  }
}

TEST_F(LoaderTest, TheGlobalBatchDoesNotDependOnTheMicrobatch) {
  BatchLoader whole(dataset_, 24, 24);
  for (std::int64_t const micro_batch : {1, 2, 3, 4, 6, 8, 12}) {
    BatchLoader cut(dataset_, 24, micro_batch);
    EXPECT_EQ(cut.microbatches(), 24 / micro_batch);
    for (std::int64_t step = 0; step < 12; ++step) {
      EXPECT_EQ(global_batch(cut, micro_batch, step), global_batch(whole, 24, step)) << "step " << step;
    }
  }
}

TEST_F(LoaderTest, MicrobatchesCanBeReadInAnyOrderByAnyLoader) {
  BatchLoader forward(dataset_, 8, 2);
  BatchLoader backward(dataset_, 8, 2);
  std::vector<Microbatch> read;
  for (std::int64_t i = 0; i < 20; ++i) {
    auto& [tokens, targets] = read.emplace_back(empty(2));
    forward.training_microbatch(i / 4, i % 4, tokens, targets);
  }
  for (std::int64_t i = 19; i >= 0; --i) {
    auto again = empty(2);
    backward.training_microbatch(i / 4, i % 4, again.tokens, again.targets);
    EXPECT_EQ(again, read[static_cast<std::size_t>(i)]);
  }
}

TEST_F(LoaderTest, ARunResumesAtItsPositionWithAnotherBatchSize) {
  BatchLoader before(dataset_, 8, 4);
  std::int64_t const saved = before.position(5);
  EXPECT_EQ(saved, 40);
  BatchLoader after(dataset_, 4, 4);
  after.resume(5, saved);
  EXPECT_EQ(after.position(5), 40);
  EXPECT_EQ(after.position(7), 48);
  auto expected = global_batch(before, 4, 5);
  auto resumed = global_batch(after, 4, 5);
  auto const second = global_batch(after, 4, 6);
  resumed.insert(resumed.end(), second.begin(), second.end());
  EXPECT_EQ(resumed, expected);
}

TEST_F(LoaderTest, ValidationReadsTheSameListEveryTime) {
  BatchLoader pairs(dataset_, 4, 2);
  BatchLoader singles(dataset_, 4, 1);
  for (std::int64_t index = 0; index < 10; ++index) {
    auto pair = empty(2);
    pairs.validation_microbatch(index, pair.tokens, pair.targets);
    for (std::int64_t b = 0; b < 2; ++b) {
      auto single = empty(1);
      singles.validation_microbatch(2 * index + b, single.tokens, single.targets);
      EXPECT_EQ(single.tokens.front(), 900 + (2 * index + b) % 12 * S);
      for (std::size_t s = 0; s < S; ++s) {
        EXPECT_EQ(pair.tokens[2 * s + static_cast<std::size_t>(b)], single.tokens[s]);
        EXPECT_EQ(pair.targets[2 * s + static_cast<std::size_t>(b)], single.targets[s]);
      }
    }
  }
}

TEST_F(LoaderTest, WrongShapesAreRefused) {
  expect_failure(ExitCode::config, {"batch.global_batch_size = 10", "batch.micro_batch_size = 4"},
                 [&] { BatchLoader(dataset_, 10, 4); });
  expect_failure(ExitCode::config, {"at least 1"}, [&] { BatchLoader(dataset_, 0, 1); });
  BatchLoader loader(dataset_, 4, 2);
  auto right = empty(2);
  auto wrong = empty(1);
  EXPECT_THROW(loader.training_microbatch(0, 2, right.tokens, right.targets), InternalError);
  EXPECT_THROW(loader.training_microbatch(0, 0, wrong.tokens, right.targets), InternalError);
  EXPECT_THROW(loader.training_microbatch(0, 0, right.tokens, wrong.targets), InternalError);
}

}  // namespace
}  // namespace tessera::data::test
