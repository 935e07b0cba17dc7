// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "support/parallel.hpp"
#include "training.hpp"

namespace tessera::train::test {
namespace {

constexpr std::int64_t steps = 60;

/// Nats a token of the best model that knows only how often each token occurs: the entropy of the very
/// targets that the validation predicts.
double unigram_entropy(RunConfig const& config) {
  data::DatasetOptions options;
  options.path = config.data.path;
  options.validation_fraction = config.data.validation_fraction;
  options.seq_length = config.batch.seq_length;
  options.vocab_size = config.model.vocab_size;
  data::Dataset const dataset(options);
  std::vector<std::int32_t> sample(static_cast<std::size_t>(config.batch.seq_length) + 1);
  std::array<double, 256> counts{};
  double total = 0;
  for (std::int64_t i = 0; i < config.training.eval_batches * config.batch.global_batch_size; ++i) {
    dataset.read_validation(i, sample);
    for (std::size_t s = 1; s < sample.size(); ++s, ++total) ++counts[static_cast<std::size_t>(sample[s])];
  }
  double entropy = 0;
  for (double const count : counts) {
    if (count > 0) entropy -= count / total * std::log(count / total);
  }
  return entropy;
}

/// No model without working gradients through attention and MLP comes clearly below the frequencies of the
/// bytes of text it never saw; an untrained one is at log 256 = 5.545.
TEST(Training, LearnsMoreOfATextThanHowOftenEachByteOccurs) {
  RunConfig config;
  config.parallel.tp = 2;
  config.parallel.dp = 1;
  config.training.steps = steps;
  config.training.eval_batches = 4;
  auto const group = support::group_of(2);
  ASSERT_TRUE(group) << "start this test on an even number of ranks";
  TrainingRun<float> run(group->duplicate(), config);
  double const before = run.trainer().validate();
  for (std::int64_t step = 0; step < steps; ++step) ASSERT_FALSE(run.trainer().step().skipped);
  double const after = run.trainer().validate(), unigram = unigram_entropy(config);
  EXPECT_NEAR(before, std::log(256), 0.1);
  EXPECT_LT(after, unigram - 0.4) << "unigram entropy " << unigram;
  RecordProperty("validation_loss", std::to_string(after));
  RecordProperty("unigram_entropy", std::to_string(unigram));
}

}  // namespace
}  // namespace tessera::train::test
