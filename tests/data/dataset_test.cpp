// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/data/dataset.hpp"

#include <gtest/gtest.h>

#include <set>

#include "data_files.hpp"

namespace tessera::data::test {
namespace {

/// A data set over ids 0, 1, 2 ..., so that a sample tells where it began.
class DatasetTest : public ::testing::Test {
 protected:
  DatasetOptions counting_options(std::uint16_t tokens, std::int64_t seq_length) const {
    DatasetOptions options;
    options.path = folder_.write("counting.bin", raw(counting<std::uint16_t>(tokens)));
    options.seq_length = seq_length;
    options.vocab_size = 65536;
    options.seed = 1;
    return options;
  }

  static std::vector<std::int32_t> training(Dataset const& dataset, std::int64_t position) {
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(dataset.seq_length()) + 1);
    dataset.read_training(position, tokens);
    return tokens;
  }
  static std::vector<std::int32_t> validation(Dataset const& dataset, std::int64_t index) {
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(dataset.seq_length()) + 1);
    dataset.read_validation(index, tokens);
    return tokens;
  }

  TemporaryFolder folder_;
};

TEST_F(DatasetTest, SamplesOverlapByOneTokenAndTheTailIsForValidation) {
  auto options = counting_options(1000, 8);
  options.shuffle = false;
  Dataset const dataset(options);
  ASSERT_EQ(dataset.training_samples(), 112) << "900 tokens";
  ASSERT_EQ(dataset.validation_samples(), 12) << "100 tokens";
  for (std::int32_t i = 0; i < 112; ++i) EXPECT_EQ(training(dataset, i), counting(9, 8 * i));
  EXPECT_EQ(training(dataset, 112), counting(9, 0)) << "the next epoch";
  for (std::int32_t i = 0; i < 12; ++i) EXPECT_EQ(validation(dataset, i), counting(9, 900 + 8 * i));
  EXPECT_EQ(validation(dataset, 12), counting(9, 900)) << "from the first again";
}

TEST_F(DatasetTest, EveryEpochReadsEverySampleOnceInItsOwnOrder) {
  Dataset const dataset(counting_options(1000, 8));
  std::vector<std::vector<std::int32_t>> orders;
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    auto& order = orders.emplace_back();
    for (std::int64_t i = 0; i < 112; ++i) {
      auto const sample = training(dataset, epoch * 112 + i);
      EXPECT_EQ(sample, counting(9, sample.front()));
      order.push_back(sample.front());
    }
    std::set<std::int32_t> const starts(order.begin(), order.end());
    EXPECT_EQ(starts.size(), 112u);
    EXPECT_EQ(*starts.rbegin(), 111 * 8);
  }
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_NE(orders[1], orders[2]);
}

TEST_F(DatasetTest, AnyPositionCanBeEnteredAtOnce) {
  auto const options = counting_options(1000, 8);
  Dataset const uninterrupted(options);
  std::vector<std::vector<std::int32_t>> samples;
  for (std::int64_t position = 0; position < 300; ++position)
    samples.push_back(training(uninterrupted, position));
  for (std::int64_t position = 299; position >= 0; --position) {
    Dataset const resumed(options);
    EXPECT_EQ(training(resumed, position), samples[static_cast<std::size_t>(position)]);
  }
}

TEST_F(DatasetTest, TheOrderDependsOnTheSeedAndValidationDoesNot) {
  auto options = counting_options(1000, 8);
  Dataset const one(options);
  options.seed = 2;
  Dataset const two(options);
  int equal = 0;
  for (std::int64_t i = 0; i < 112; ++i) equal += training(one, i) == training(two, i);
  EXPECT_LT(equal, 10) << "one is expected";
  for (std::int64_t i = 0; i < 12; ++i) EXPECT_EQ(validation(one, i), validation(two, i));
}

TEST_F(DatasetTest, ValidationCanComeFromItsOwnFile) {
  auto options = counting_options(100, 8);
  options.validation_path = folder_.write("validation.bin", raw(counting<std::uint16_t>(17, 500)));
  Dataset const dataset(options);
  EXPECT_EQ(dataset.training_samples(), 12) << "the whole of the training file";
  EXPECT_EQ(dataset.validation_samples(), 2);
  EXPECT_EQ(validation(dataset, 1), counting(9, 508));
  EXPECT_NE(dataset.description().find("validation.bin"), std::string::npos);
}

TEST_F(DatasetTest, BytesAreNotComparedWithTheIdsOfATokenizer) {
  auto options = counting_options(100, 8);
  options.validation_path = folder_.write("validation.txt", std::string(100, 'a'));
  try {
    Dataset const dataset(options);
    FAIL() << "accepted";
  } catch (DataError const& error) {
    std::string const text = error.what();
    EXPECT_NE(text.find("both must be bytes, or both ids"), std::string::npos) << text;
    EXPECT_NE(text.find("validation.txt"), std::string::npos) << text;
  }
}

TEST_F(DatasetTest, ValidationCanBeLeftOut) {
  auto options = counting_options(9, 8);
  options.validation_fraction = 0;
  Dataset const dataset(options);
  EXPECT_EQ(dataset.training_samples(), 1);
  EXPECT_EQ(dataset.validation_samples(), 0);
  EXPECT_EQ(training(dataset, 5), counting(9, 0));
  EXPECT_THROW(validation(dataset, 0), InternalError);
}

TEST_F(DatasetTest, AnIdBeyondTheVocabularyIsNamedWithItsPlace) {
  auto ids = counting<std::uint32_t>(100);
  ids[77] = 4000000000u;
  ids[42] = 300;
  folder_.write("shards/a.bin", llmc(std::vector<std::uint32_t>(ids.begin(), ids.begin() + 30)));
  folder_.write("shards/b.bin", llmc(std::vector<std::uint32_t>(ids.begin() + 30, ids.end())));
  DatasetOptions options;
  options.path = folder_.path("shards");
  options.validation_fraction = 0;
  options.seq_length = 10;
  options.vocab_size = 300;
  options.shuffle = false;
  Dataset const dataset(options);
  EXPECT_EQ(training(dataset, 3), counting(11, 30)) << "an id below the vocabulary is none of its business";
  expect_failure(ExitCode::data, {"token 12 of", "b.bin", "id 300", "vocabulary of 300 ends at 299"},
                 [&] { training(dataset, 4); });
  expect_failure(ExitCode::data, {"token 47 of", "b.bin", "id 4000000000"}, [&] { training(dataset, 7); });
}

TEST_F(DatasetTest, TooShortDataSaysWhatIsNeededAndFound) {
  auto options = counting_options(100, 64);
  expect_failure(ExitCode::data, {"validation part", "counting.bin", "needs 65 tokens", "found 10"},
                 [&] { Dataset{options}; });
  options.validation_fraction = 0;
  EXPECT_EQ(Dataset(options).training_samples(), 1);
  options.seq_length = 100;
  expect_failure(ExitCode::data, {"training data", "counting.bin", "needs 101 tokens", "found 100"},
                 [&] { Dataset{options}; });
  options.seq_length = 64;
  options.validation_path = folder_.write("short.bin", raw(counting<std::uint16_t>(64)));
  expect_failure(ExitCode::data, {"validation data", "short.bin", "needs 65 tokens", "found 64"},
                 [&] { Dataset{options}; });
}

TEST_F(DatasetTest, OptionsThatMakeNoSenseAreListedTogether) {
  DatasetOptions options;
  options.validation_fraction = 1;
  expect_failure(
      ExitCode::config,
      {"4 problems", "data.path", "batch.seq_length", "model.vocab_size", "data.validation_fraction"},
      [&] { Dataset{options}; });
}

}  // namespace
}  // namespace tessera::data::test
