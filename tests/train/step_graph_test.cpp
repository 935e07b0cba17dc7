// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A step that is recorded and repeated, with a double of the device's graphs: it keeps the work of the
// recording, with all the numbers that it was given then, and does it again at every launch.
#include "tessera/train/step_graph.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "layouts.hpp"
#include "support/parallel.hpp"

namespace tessera::train::test {
namespace {

struct Counts {
  int recorded = 0, launched = 0;
};

class KeptWork final : public StreamGraph {
 public:
  explicit KeptWork(Counts& counts) : counts_(counts) {}
  void record(ExecutionSpace const&, std::function<void()> const& work) override {
    ++counts_.recorded;
    work_ = work;
  }
  void launch(ExecutionSpace const&) override {
    ++counts_.launched;
    work_();
  }

 private:
  Counts& counts_;
  std::function<void()> work_;
};

constexpr int steps = 7;

/// Losses and norms of `steps` steps, and the weights.
struct Course {
  std::vector<double> numbers;
  std::uint64_t weights_hash = 0;

  bool operator==(Course const&) const = default;
};

Course train(RunConfig const& config, Counts* counts) {
  std::function<std::unique_ptr<StreamGraph>()> graph;
  if (counts != nullptr) graph = [counts] { return std::make_unique<KeptWork>(*counts); };
  TrainingRun<float> run(support::group_of(1)->duplicate(), config, graph);
  Course course;
  for (int step = 0; step < steps; ++step) {
    auto const report = run.trainer().step();
    course.numbers.push_back(report.loss);
    course.numbers.push_back(report.grad_norm);
    if (step == 3) course.numbers.push_back(run.trainer().validate());
  }
  course.weights_hash = run.trainer().weights_hash();
  return course;
}

/// With a graph the bits are those without one; it was recorded `recordings` times.
void expect_same_bits(RunConfig const& config, int recordings) {
  Counts counts;
  EXPECT_EQ(train(config, &counts), train(config, nullptr));
  EXPECT_EQ(counts.launched, steps - StepGraph::warm_up);
  EXPECT_EQ(counts.recorded, recordings);
}

RunConfig without_dropout(TokenFile const& tokens) {
  auto config = small_run(tokens);
  config.model.hidden_dropout = config.model.attention_dropout = 0;
  return config;
}

TEST(StepGraph, IsRecordedOnceWhereNothingIsDrawn) {
  TokenFile const tokens(64, 20'000);
  expect_same_bits(without_dropout(tokens), 1);
}

TEST(StepGraph, IsRecordedForEachStepThatDrawsDropout) {
  TokenFile const tokens(64, 20'000);
  auto config = without_dropout(tokens);
  config.model.hidden_dropout = 0.1;
  expect_same_bits(config, steps - StepGraph::warm_up);
}

TEST(StepGraph, IsRecordedAgainWhenTheLossScaleChanges) {
  TokenFile const tokens(64, 20'000);
  auto config = without_dropout(tokens);
  config.optimizer.loss_scale = 0;
  config.optimizer.initial_loss_scale = 1 << 10;
  config.optimizer.loss_scale_window = 3;  // doubled after steps 3 and 6
  expect_same_bits(config, 3);
}

TEST(StepGraph, RecordsAgainAfterARecordingThatFailed) {
  struct Failing final : StreamGraph {
    void record(ExecutionSpace const&, std::function<void()> const& work) override { work(); }
    void launch(ExecutionSpace const&) override { ++launched; }
    int launched = 0;
  };
  auto owned = std::make_unique<Failing>();
  auto const& graph = *owned;
  StepGraph step(std::move(owned));
  int calls = 0;
  auto const work = [&] {
    if (++calls == StepGraph::warm_up + 1) throw std::runtime_error("no recording");
  };
  for (int i = 0; i < StepGraph::warm_up; ++i) step.run({}, {}, work);
  EXPECT_THROW(step.run({}, {}, work), std::runtime_error);
  EXPECT_EQ(graph.launched, 0);
  step.run({}, {}, work);
  step.run({}, {}, work);
  EXPECT_EQ(calls, StepGraph::warm_up + 2);
  EXPECT_EQ(graph.launched, 2);
}

}  // namespace
}  // namespace tessera::train::test
