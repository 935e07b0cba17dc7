// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/executor.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <string>
#include <vector>

#include "support/parallel.hpp"
#include "tessera/base/arena.hpp"
#include "tessera/pipeline/checker.hpp"
#include "tessera/pipeline/generators.hpp"

namespace tessera::pipeline {
namespace {

constexpr std::size_t width = 3;

/// Element i of the message about `microbatch` that leaves `stage`: no two messages of a run are alike.
double content(int run, bool backward, int microbatch, int stage, std::size_t i) {
  return 1e6 * run + (backward ? 5e5 : 0) + 1000.0 * microbatch + 10.0 * stage + static_cast<double>(i);
}

/// A stage that adds nothing but evidence: it checks what arrives, writes what leaves, and lists what it
/// computed.
class FakeStage final : public StageWork<double> {
 public:
  FakeStage(int stage, int stages, int slots)
      : stage_(stage),
        stages_(stages),
        slots_(static_cast<std::size_t>(slots)),
        arena_("tessera::test::stage") {
    inputs_ = arena_.matrix<double>(slots_, width);
    outputs_ = arena_.matrix<double>(slots_, width);
    gradients_ = arena_.matrix<double>(slots_, width);
    owner_.assign(slots_, -1);
  }

  void begin(int run) {
    run_ = run;
    done_.clear();
    owner_.assign(slots_, -1);
  }

  void forward(int microbatch) override {
    if (stage_ > 0) expect_content(input(microbatch), false, microbatch, stage_ - 1);
    write(output(microbatch), false, microbatch);
    owner_[slot(microbatch)] = microbatch;
    done_.push_back({ActionKind::forward, microbatch});
  }

  void backward(int microbatch) override {
    EXPECT_EQ(owner_[slot(microbatch)], microbatch) << "another microbatch took the slot before its backward";
    if (stage_ < stages_ - 1) expect_content(gradient(microbatch), true, microbatch, stage_ + 1);
    write(gradient(microbatch), true, microbatch);
    done_.push_back({ActionKind::backward, microbatch});
  }

  Matrix<double> input(int microbatch) override { return row(inputs_, microbatch); }
  Matrix<double> output(int microbatch) override { return row(outputs_, microbatch); }
  Matrix<double> gradient(int microbatch) override { return row(gradients_, microbatch); }

  [[nodiscard]] std::vector<Action> const& done() const { return done_; }

 private:
  [[nodiscard]] std::size_t slot(int microbatch) const {
    return static_cast<std::size_t>(microbatch) % slots_;
  }
  [[nodiscard]] Matrix<double> row(Matrix<double> const& all, int microbatch) const {
    return Matrix<double>(all.data() + slot(microbatch) * width, 1, width);
  }
  void expect_content(Matrix<double> const& message, bool backward, int microbatch, int from) const {
    for (std::size_t i = 0; i < width; ++i) {
      EXPECT_EQ(message(0, i), content(run_, backward, microbatch, from, i))
          << (backward ? "gradient" : "activation") << " of microbatch " << microbatch << " at stage "
          << stage_;
    }
  }
  void write(Matrix<double> const& message, bool backward, int microbatch) const {
    for (std::size_t i = 0; i < width; ++i) message(0, i) = content(run_, backward, microbatch, stage_, i);
  }

  int stage_, stages_;
  std::size_t slots_;
  Arena arena_;
  Matrix<double> inputs_, outputs_, gradients_;
  std::vector<int> owner_;
  std::vector<Action> done_;
  int run_ = 0;
};

std::vector<Action> computes(Schedule const& schedule, int stage) {
  std::vector<Action> result;
  for (auto const& action : schedule.actions[static_cast<std::size_t>(stage)]) {
    if (is_compute(action.kind)) result.push_back(action);
  }
  return result;
}

/// Runs a training schedule, a forward-only one and the first again through one executor, as a trainer does.
void run_on(comm::Communicator& group, std::string const& name, int microbatches) {
  SCOPED_TRACE(fmt::format("{} of {} microbatches on {} stages", name, microbatches, group.size()));
  auto const forward = group.duplicate(), backward = group.duplicate();
  int const stage = group.rank(), stages = group.size();
  auto const training = make_schedule(name, stages, microbatches);
  auto const evaluation = forward_only(stages, microbatches);
  int const slots = pipeline::slots(training, stage);
  Executor<double> executor(stage, {forward.get(), backward.get()}, slots);
  FakeStage work(stage, stages, slots);
  int run = 0;
  for (auto const* schedule : {&training, &evaluation, &training}) {
    work.begin(++run);
    executor.run(*schedule, work, StreamRef(ExecutionSpace()));
    EXPECT_EQ(work.done(), computes(*schedule, stage));
    EXPECT_GE(executor.waited_s(), 0);
    if (stages == 1) {
      EXPECT_EQ(executor.waited_s(), 0);
    }
  }
}

class ExecutorOf : public ::testing::TestWithParam<char const*> {};

TEST_P(ExecutorOf, DeliversEveryMessageToItsMicrobatchAndComputesInOrder) {
  support::for_each_group({1, 2, 3, 4}, [](comm::Communicator& group) {
    for (int microbatches = 1; microbatches <= 9; ++microbatches) run_on(group, GetParam(), microbatches);
  });
}

INSTANTIATE_TEST_SUITE_P(Schedules, ExecutorOf, ::testing::Values("gpipe", "1f1b"));

/// A buffer is written again as soon as its message is away, not when it was only started.
TEST(Executor, KeepsOneSlotSafeWhileItsMessageIsUnderWay) {
  support::for_each_group({2, 4}, [](comm::Communicator& group) {
    auto const forward = group.duplicate(), backward = group.duplicate();
    Executor<double> executor(group.rank(), {forward.get(), backward.get()}, 1);
    FakeStage work(group.rank(), group.size(), 1);
    work.begin(1);
    executor.run(forward_only(group.size(), 50), work, StreamRef(ExecutionSpace()));
    EXPECT_EQ(work.done().size(), 50u);
  });
}

}  // namespace
}  // namespace tessera::pipeline
