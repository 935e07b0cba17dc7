// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/generators.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>

#include "tessera/base/error.hpp"
#include "tessera/pipeline/checker.hpp"

namespace tessera::pipeline {
namespace {

using enum ActionKind;

/// Calls `body(p, m)` for more stages than microbatches, fewer, and powers of two and not.
template <typename Body>
void for_many_sizes(Body const& body) {
  for (int stages : {1, 2, 3, 4, 5, 8, 16}) {
    for (int microbatches : {1, 2, 3, 4, 7, 8, 32, 33}) {
      SCOPED_TRACE(std::to_string(stages) + " stages, " + std::to_string(microbatches) + " microbatches");
      body(stages, microbatches);
    }
  }
}

TEST(Generators, SchedulesAreSound) {
  for_many_sizes([](int p, int m) {
    EXPECT_EQ(check(gpipe(p, m), {.max_live = m}), std::vector<std::string>{});
    EXPECT_EQ(check(one_f_one_b(p, m), {.max_live = std::min(m, p)}), std::vector<std::string>{});
    EXPECT_EQ(check(forward_only(p, m), {.max_live = 1}), std::vector<std::string>{});
  });
}

TEST(Generators, BubbleIsTheClosedForm) {
  for_many_sizes([](int p, int m) {
    for (double backward_cost : {0.5, 1.0, 2.0, 3.0}) {
      EXPECT_DOUBLE_EQ(1 - bubble_fraction(gpipe(p, m), 1, backward_cost), 1 - closed_form_bubble(p, m));
      EXPECT_DOUBLE_EQ(1 - bubble_fraction(one_f_one_b(p, m), 1, backward_cost),
                       1 - closed_form_bubble(p, m));
      EXPECT_DOUBLE_EQ(1 - bubble_fraction(forward_only(p, m), 1, backward_cost),
                       1 - closed_form_bubble(p, m));
    }
  });
}

TEST(Generators, LiveActivationsAreTheClosedForm) {
  for_many_sizes([](int p, int m) {
    for (int stage = 0; stage < p; ++stage) {
      EXPECT_EQ(gpipe(p, m).live_activations(stage), m);
      EXPECT_EQ(one_f_one_b(p, m).live_activations(stage), std::min(m, p - stage));
      EXPECT_EQ(forward_only(p, m).live_activations(stage), 1);
    }
  });
}

TEST(Generators, SlotsAreTheLiveActivations) {
  for_many_sizes([](int p, int m) {
    for (auto const& name : schedule_names()) {
      auto const schedule = make_schedule(name, p, m);
      for (int stage = 0; stage < p; ++stage)
        EXPECT_EQ(slots(schedule, stage), closed_form_slots(name, p, m, stage)) << name;
    }
    for (auto const& schedule : {gpipe(p, m), one_f_one_b(p, m), forward_only(p, m)}) {
      for (int stage = 0; stage < p; ++stage)
        EXPECT_EQ(slots(schedule, stage), schedule.live_activations(stage));
    }
  });
}

TEST(Generators, ClosedFormsTakeAnySize) {
  int const most = std::numeric_limits<int>::max();
  EXPECT_EQ(closed_form_slots("gpipe", 4, most, 1), most);
  EXPECT_EQ(closed_form_slots("1f1b", most, most, 0), most);
  EXPECT_EQ(closed_form_slots("1f1b", 4, most, 1), 3);
  EXPECT_NEAR(closed_form_bubble(most, most), 0.5, 1e-9);
  EXPECT_THROW((void)closed_form_slots("2f2b", 1, 1, 0), ConfigError);
}

TEST(Generators, OneStagesListIsThatOfTheWholeSchedule) {
  for_many_sizes([](int p, int m) {
    auto const expect_same = [&](Schedule const& whole, auto const& only) {
      for (int stage = 0; stage < p; ++stage) {
        auto const own = only(stage);
        auto const i = static_cast<std::size_t>(stage);
        EXPECT_EQ(own.actions[i], whole.actions[i]);
        for (std::size_t other = 0; other < own.actions.size(); ++other)
          EXPECT_TRUE(other == i || own.actions[other].empty());
      }
    };
    expect_same(forward_only(p, m), [=](int stage) { return forward_only(p, m, stage); });
    for (auto const& name : schedule_names())
      expect_same(make_schedule(name, p, m), [&](int stage) { return make_schedule(name, p, m, stage); });
  });
}

TEST(Generators, OneForwardOneBackwardDeadlocksOnlyWhereNeighboursCross) {
  for_many_sizes([](int p, int m) {
    bool const crosses = p > 1 && m > 1;
    auto const problems = check(one_f_one_b(p, m), {.sends = SendMode::rendezvous});
    EXPECT_EQ(!problems.empty(), crosses);
    EXPECT_EQ(check(gpipe(p, m), {.sends = SendMode::rendezvous}), std::vector<std::string>{});
    EXPECT_EQ(check(forward_only(p, m), {.sends = SendMode::rendezvous}), std::vector<std::string>{});
  });
}

TEST(Generators, OneForwardOneBackwardIsTheDrawnOne) {
  std::vector<Action> const first = {{forward, 0},      {send_forward, 0},     {forward, 1},
                                     {send_forward, 1}, {receive_backward, 0}, {backward, 0},
                                     {forward, 2},      {send_forward, 2},     {receive_backward, 1},
                                     {backward, 1},     {receive_backward, 2}, {backward, 2}};
  std::vector<Action> const last = {{receive_forward, 0}, {forward, 0}, {backward, 0}, {send_backward, 0},
                                    {receive_forward, 1}, {forward, 1}, {backward, 1}, {send_backward, 1},
                                    {receive_forward, 2}, {forward, 2}, {backward, 2}, {send_backward, 2}};
  auto const schedule = one_f_one_b(2, 3);
  EXPECT_EQ(schedule.actions[0], first);
  EXPECT_EQ(schedule.actions[1], last);
}

TEST(Generators, OneStageSendsNothing) {
  for (auto const& schedule : {gpipe(1, 4), one_f_one_b(1, 4), forward_only(1, 4)}) {
    EXPECT_TRUE(
        std::ranges::all_of(schedule.actions[0], [](auto const& action) { return is_compute(action.kind); }));
  }
}

TEST(Generators, AreChosenByName) {
  EXPECT_EQ(make_schedule("gpipe", 3, 5).actions, gpipe(3, 5).actions);
  EXPECT_EQ(make_schedule("1f1b", 3, 5).actions, one_f_one_b(3, 5).actions);
  for (auto const& name : schedule_names())
    EXPECT_EQ(check(make_schedule(name, 4, 8)), std::vector<std::string>{});
}

TEST(Generators, UnknownNameIsRefusedWithTheKnownOnes) {
  try {
    static_cast<void>(make_schedule("1b1f", 2, 2));
    FAIL() << "no error";
  } catch (ConfigError const& error) {
    EXPECT_STREQ(error.what(), "unknown pipeline schedule '1b1f': choose one of gpipe 1f1b");
  }
}

TEST(Generators, NoStagesAndNoMicrobatchesAreRefusedTogether) {
  try {
    static_cast<void>(make_schedule("gpipe", 0, -1));
    FAIL() << "no error";
  } catch (ConfigError const& error) {
    EXPECT_EQ(error.problems().size(), 2u);
  }
}

}  // namespace
}  // namespace tessera::pipeline
