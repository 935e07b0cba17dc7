// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/checker.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "tessera/base/error.hpp"
#include "tessera/pipeline/generators.hpp"

namespace tessera::pipeline {
namespace {

using enum ActionKind;
using Problems = std::vector<std::string>;

std::vector<Action>& stage_of(Schedule& schedule, int stage) {
  return schedule.actions[static_cast<std::size_t>(stage)];
}

std::vector<Action>::iterator find(Schedule& schedule, int stage, Action const& action) {
  auto& actions = stage_of(schedule, stage);
  auto const found = std::find(actions.begin(), actions.end(), action);
  EXPECT_NE(found, actions.end());
  return found;
}

void drop(Schedule& schedule, int stage, Action const& action) {
  stage_of(schedule, stage).erase(find(schedule, stage, action));
}

void swap(Schedule& schedule, int stage, Action const& a, Action const& b) {
  std::iter_swap(find(schedule, stage, a), find(schedule, stage, b));
}

bool mentions(Problems const& problems, std::string const& text) {
  return std::ranges::any_of(problems,
                             [&](auto const& problem) { return problem.find(text) != problem.npos; });
}

/// check(schedule) has a problem with `text` in it.
void expect_problem(Schedule const& schedule, std::string const& text, CheckOptions const& options = {}) {
  auto const problems = check(schedule, options);
  EXPECT_TRUE(mentions(problems, text))
      << "expected: " << text << "\ngot: " << ::testing::PrintToString(problems);
}

TEST(Checker, RefusesAMissingForward) {
  auto schedule = gpipe(2, 3);
  drop(schedule, 1, {forward, 2});
  EXPECT_EQ(check(schedule), Problems{"stage 1: forward of microbatch 2 is listed 0 times instead of 1"});
}

TEST(Checker, RefusesABackwardListedTwice) {
  auto schedule = gpipe(2, 3);
  stage_of(schedule, 1).push_back({backward, 2});
  expect_problem(schedule, "stage 1: backward of microbatch 2 is listed 2 times instead of 1");
}

TEST(Checker, RefusesBackwardsInAForwardPass) {
  auto schedule = gpipe(1, 1);
  schedule.has_backward = false;
  EXPECT_EQ(check(schedule), Problems{"stage 0: backward of microbatch 0 is listed 1 times instead of 0"});
}

TEST(Checker, RefusesATrainingStepWithoutBackwards) {
  auto schedule = forward_only(1, 1);
  schedule.has_backward = true;
  EXPECT_EQ(check(schedule), Problems{"stage 0: backward of microbatch 0 is listed 0 times instead of 1"});
}

TEST(Checker, RefusesABackwardBeforeItsForward) {
  auto schedule = gpipe(1, 2);
  swap(schedule, 0, {forward, 1}, {backward, 1});
  expect_problem(schedule, "stage 0: backward of microbatch 1 comes before its forward");
}

TEST(Checker, RefusesASendBeforeItsCompute) {
  auto schedule = gpipe(2, 2);
  swap(schedule, 0, {forward, 1}, {send_forward, 1});
  EXPECT_EQ(check(schedule), Problems{"stage 0: send forward of microbatch 1 comes before its forward"});
}

TEST(Checker, RefusesAComputeBeforeItsReceive) {
  auto schedule = gpipe(2, 2);
  swap(schedule, 0, {receive_backward, 1}, {backward, 1});
  EXPECT_EQ(check(schedule), Problems{"stage 0: backward of microbatch 1 comes before its receive backward"});
}

TEST(Checker, RefusesAReceiveWithoutItsSend) {
  auto schedule = gpipe(2, 2);
  drop(schedule, 0, {send_forward, 1});
  expect_problem(schedule, "1 messages are sent from stage 0 to 1 (send forward) but 2 are received");
  expect_problem(schedule,
                 "stage 0 at receive backward of microbatch 0, stage 1 at receive forward of microbatch 1");
}

TEST(Checker, RefusesMessagesThatCrossInAChannel) {
  auto schedule = gpipe(2, 2);
  swap(schedule, 1, {receive_forward, 0}, {receive_forward, 1});
  swap(schedule, 1, {forward, 0}, {forward, 1});
  EXPECT_EQ(check(schedule), Problems{"message 0 from stage 0 to 1 is the send forward of microbatch 0, but"
                                      " microbatch 1 is received there"});
}

TEST(Checker, RefusesASendPastTheLastStage) {
  auto schedule = gpipe(2, 1);
  stage_of(schedule, 1).push_back({send_forward, 0});
  expect_problem(schedule, "stage 1: send forward of microbatch 0 is listed 1 times instead of 0");
  expect_problem(schedule, "deadlock");
}

TEST(Checker, RefusesWeightGradientsInAnotherOrder) {
  auto schedule = gpipe(1, 3);
  swap(schedule, 0, {backward, 0}, {backward, 1});
  EXPECT_EQ(check(schedule),
            Problems{"stage 0: backward of microbatch 0 comes after that of microbatch 1; weight"
                     " gradients are summed in increasing microbatch order"});
}

TEST(Checker, RefusesMoreLiveMicrobatchesThanAllowed) {
  EXPECT_EQ(check(one_f_one_b(2, 8), {.max_live = 1}),
            Problems{"stage 0: 2 microbatches are alive at one time, 1 are allowed"});
}

TEST(Checker, RefusesADeadlock) {
  auto schedule = gpipe(2, 1);
  auto& last = stage_of(schedule, 1);
  std::rotate(last.begin(), last.begin() + 1, last.end());  // the receive comes last
  auto& first = stage_of(schedule, 0);
  std::rotate(first.begin(), first.begin() + 2, first.begin() + 3);  // waits for the gradient before it sends
  expect_problem(schedule, "comes before its receive forward");
  EXPECT_FALSE(mentions(check(schedule), "deadlock"));
  std::rotate(last.begin(), last.end() - 1, last.end());
  expect_problem(schedule,
                 "deadlock with sends that do not wait: stage 0 at receive backward of microbatch 0, stage 1"
                 " at receive forward of microbatch 0");
}

TEST(Checker, ReportsADeadlockOfWaitingSendsByItsOwnName) {
  EXPECT_EQ(check(one_f_one_b(2, 2)), Problems{});
  EXPECT_EQ(
      check(one_f_one_b(2, 2), {.sends = SendMode::rendezvous}),
      Problems{
          "deadlock with sends that wait for their receiver: stage 0 at send forward of microbatch 1, stage"
          " 1 at send backward of microbatch 0"});
}

TEST(Checker, RefusesSizesThatDoNotAgree) {
  auto schedule = gpipe(2, 2);
  schedule.stages = 3;
  EXPECT_EQ(check(schedule), Problems{"the schedule lists actions of 2 stages but has 3"});
  EXPECT_EQ(check(Schedule{0, 0, {}, true}).size(), 2u);
}

TEST(Checker, RefusesAMicrobatchThatDoesNotExist) {
  for (int const microbatch : {-1, 2}) {
    auto schedule = gpipe(1, 2);
    stage_of(schedule, 0).front().microbatch = microbatch;
    EXPECT_EQ(check(schedule), Problems{"stage 0: forward of microbatch " + std::to_string(microbatch) +
                                        " does not exist; there are 2 microbatches"});
  }
}

TEST(Checker, CountsSlotsByMicrobatchNumber) {
  Schedule const schedule{
      1, 3, {{{forward, 0}, {forward, 2}, {backward, 0}, {forward, 1}, {backward, 1}, {backward, 2}}}};
  EXPECT_EQ(schedule.live_activations(0), 2);
  EXPECT_EQ(slots(schedule, 0), 3);  // 0 and 2 are alive together and would share one of two slots
}

TEST(Checker, GivesASlotOnOnlyAfterItsMessageIsSent) {
  auto schedule = forward_only(2, 2);
  EXPECT_EQ(slots(schedule, 0), 1);
  swap(schedule, 0, {send_forward, 0}, {forward, 1});  // microbatch 1 is computed while 0 is yet to be sent
  EXPECT_EQ(schedule.live_activations(0), 1);
  EXPECT_EQ(slots(schedule, 0), 2);
}

TEST(Checker, RefusesToCostADeadlock) {
  auto schedule = gpipe(2, 2);
  drop(schedule, 0, {send_forward, 1});
  EXPECT_THROW(static_cast<void>(bubble_fraction(schedule, 1, 2)), InternalError);
  EXPECT_THROW(static_cast<void>(bubble_fraction(gpipe(1, 1), 0, 0)), InternalError);
}

/// Runs the lists as the executor does, reading messages by number: true if every compute found what it
/// needs.
class Replay {
 public:
  explicit Replay(Schedule const& schedule)
      : schedule_(schedule),
        at_(schedule.actions.size(), 0),
        forward_(schedule.actions.size() + 1),
        backward_(schedule.actions.size() + 1) {}

  bool succeeds() {
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t stage = 0; stage < at_.size(); ++stage) {
        while (at_[stage] < schedule_.actions[stage].size() &&
               step(stage, schedule_.actions[stage][at_[stage]])) {
          ++at_[stage];
          moved = true;
        }
      }
    }
    bool ended = true;
    for (std::size_t stage = 0; stage < at_.size(); ++stage)
      ended &= at_[stage] == schedule_.actions[stage].size();
    return ended && right_;
  }

 private:
  bool step(std::size_t stage, Action const& action) {
    switch (action.kind) {
      case send_forward: forward_[stage + 1].push_back(action.microbatch); return true;
      case send_backward: backward_[stage].push_back(action.microbatch); return true;
      case receive_forward: return take(forward_[stage], action.microbatch);
      case receive_backward: return take(backward_[stage + 1], action.microbatch);
      default: return true;
    }
  }

  bool take(std::vector<int>& channel, int microbatch) {
    if (channel.empty()) return false;
    right_ &= channel.front() == microbatch;
    channel.erase(channel.begin());
    return true;
  }

  Schedule const& schedule_;
  std::vector<std::size_t> at_;
  std::vector<std::vector<int>> forward_, backward_;
  bool right_ = true;
};

/// One random change: two actions swapped, one dropped, one doubled, or its number or kind changed.
void mutate(Schedule& schedule, std::mt19937& random) {
  auto const below = [&](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
  };
  auto& actions = schedule.actions[below(schedule.actions.size())];
  if (actions.empty()) return;
  std::size_t const place = below(actions.size());
  switch (below(5)) {
    case 0: std::swap(actions[place], actions[below(actions.size())]); break;
    case 1: actions.erase(actions.begin() + static_cast<std::ptrdiff_t>(place)); break;
    case 2: actions.push_back(actions[place]); break;
    case 3: actions[place].microbatch = static_cast<int>(below(10)) - 1; break;
    default: actions[place].kind = static_cast<ActionKind>(below(6)); break;
  }
}

TEST(Checker, SurvivesAnyMutationAndPassesOnlySchedulesThatRun) {
  std::mt19937 random(1);
  int passed = 0;
  for (int trial = 0; trial < 20000; ++trial) {
    auto schedule = make_schedule(trial % 2 == 0 ? "gpipe" : "1f1b", 1 + trial % 5, 1 + trial % 7);
    auto const good = schedule.actions;
    for (int changes = 1 + trial % 3; changes > 0; --changes) mutate(schedule, random);
    bool const is_sound = check(schedule).empty();
    static_cast<void>(check(schedule, {.sends = SendMode::rendezvous}));
    EXPECT_TRUE(is_sound || schedule.actions != good);
    if (!is_sound) continue;
    ++passed;
    EXPECT_TRUE(Replay(schedule).succeeds());
  }
  EXPECT_GT(passed, 0);
  EXPECT_LT(passed, 10000);
}

}  // namespace
}  // namespace tessera::pipeline
