// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/checker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <utility>

#include "simulation.hpp"
#include "tessera/base/error.hpp"

namespace tessera::pipeline {

namespace {

using enum ActionKind;

constexpr std::array all_kinds = {forward,         backward,      send_forward,
                                  receive_forward, send_backward, receive_backward};
constexpr int absent = -1;

/// Which must come before which within one microbatch of one stage.
constexpr std::array<std::pair<ActionKind, ActionKind>, 5> orders = {{{receive_forward, forward},
                                                                      {forward, send_forward},
                                                                      {forward, backward},
                                                                      {receive_backward, backward},
                                                                      {backward, send_backward}}};

std::string join(std::vector<std::string> const& texts) {
  std::string all;
  for (auto const& text : texts) all += (all.empty() ? "" : ", ") + text;
  return all;
}

class Checker {
 public:
  Checker(Schedule const& schedule, CheckOptions const& options) : schedule_(schedule), options_(options) {}

  std::vector<std::string> run() {
    check_sizes();
    if (!problems_.empty()) return std::move(problems_);
    for (int stage = 0; stage < schedule_.stages; ++stage) {
      check_counts(stage);
      check_backward_order(stage);
      check_live(stage);
    }
    for (int stage = 0; stage + 1 < schedule_.stages; ++stage) {
      check_channel(stage, stage + 1, send_forward, receive_forward);
      check_channel(stage + 1, stage, send_backward, receive_backward);
    }
    check_deadlock();
    return std::move(problems_);
  }

 private:
  /// Per kind the place in the list of each microbatch's first such action, and how often it comes.
  struct Places {
    std::vector<int> first;
    std::vector<int> count;
  };

  template <typename... Arguments>
  void report(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    problems_.push_back(fmt::format(text, std::forward<Arguments>(arguments)...));
  }

  [[nodiscard]] std::vector<Action> const& actions(int stage) const {
    return schedule_.actions[static_cast<std::size_t>(stage)];
  }

  void check_sizes() {
    if (schedule_.stages < 1) report("the schedule has {} stages; it needs at least 1", schedule_.stages);
    if (schedule_.microbatches < 1) {
      report("the schedule has {} microbatches; it needs at least 1", schedule_.microbatches);
    }
    if (std::cmp_not_equal(schedule_.actions.size(), schedule_.stages)) {
      report("the schedule lists actions of {} stages but has {}", schedule_.actions.size(),
             schedule_.stages);
      return;
    }
    for (int stage = 0; stage < schedule_.stages; ++stage) {
      for (auto const& action : actions(stage)) {
        if (action.microbatch >= 0 && action.microbatch < schedule_.microbatches) continue;
        report("stage {}: {} does not exist; there are {} microbatches", stage, to_string(action),
               schedule_.microbatches);
      }
    }
  }

  [[nodiscard]] bool is_wanted(ActionKind kind, int stage) const {
    bool const is_first = stage == 0;
    bool const is_last = stage == schedule_.stages - 1;
    switch (kind) {
      case forward: return true;
      case send_forward: return !is_last;
      case receive_forward: return !is_first;
      case backward: return schedule_.has_backward;
      case send_backward: return schedule_.has_backward && !is_first;
      case receive_backward: return schedule_.has_backward && !is_last;
    }
    return false;
  }

  [[nodiscard]] std::array<Places, all_kinds.size()> find_places(int stage) const {
    auto const microbatches = static_cast<std::size_t>(schedule_.microbatches);
    std::array<Places, all_kinds.size()> places;
    places.fill({std::vector<int>(microbatches, absent), std::vector<int>(microbatches, 0)});
    auto const& list = actions(stage);
    for (std::size_t i = 0; i < list.size(); ++i) {
      auto& of_kind = places[static_cast<std::size_t>(list[i].kind)];
      auto const microbatch = static_cast<std::size_t>(list[i].microbatch);
      if (of_kind.count[microbatch]++ == 0) of_kind.first[microbatch] = static_cast<int>(i);
    }
    return places;
  }

  void check_counts(int stage) {
    auto const places = find_places(stage);
    for (int microbatch = 0; microbatch < schedule_.microbatches; ++microbatch) {
      auto const at = static_cast<std::size_t>(microbatch);
      for (auto const kind : all_kinds) {
        int const count = places[static_cast<std::size_t>(kind)].count[at];
        int const wanted = is_wanted(kind, stage) ? 1 : 0;
        if (count == wanted) continue;
        report("stage {}: {} is listed {} times instead of {}", stage, to_string(Action{kind, microbatch}),
               count, wanted);
      }
      for (auto const& [before, after] : orders) {
        int const first = places[static_cast<std::size_t>(before)].first[at];
        int const second = places[static_cast<std::size_t>(after)].first[at];
        if (first == absent || second == absent || first < second) continue;
        report("stage {}: {} comes before its {}", stage, to_string(Action{after, microbatch}),
               to_string(before));
      }
    }
  }

  void check_backward_order(int stage) {
    auto const order = microbatches_of(stage, backward);
    auto const wrong = std::adjacent_find(order.begin(), order.end(), std::greater_equal<>());
    if (wrong == order.end()) return;
    report(
        "stage {}: backward of microbatch {} comes after that of microbatch {}; "
        "weight gradients are summed in increasing microbatch order",
        stage, wrong[1], wrong[0]);
  }

  void check_live(int stage) {
    int const live = schedule_.live_activations(stage);
    if (live <= options_.max_live) return;
    report("stage {}: {} microbatches are alive at one time, {} are allowed", stage, live, options_.max_live);
  }

  [[nodiscard]] std::vector<int> microbatches_of(int stage, ActionKind kind) const {
    std::vector<int> found;
    for (auto const& action : actions(stage)) {
      if (action.kind == kind) found.push_back(action.microbatch);
    }
    return found;
  }

  void check_channel(int from, int to, ActionKind send, ActionKind receive) {
    auto const sent = microbatches_of(from, send);
    auto const received = microbatches_of(to, receive);
    if (sent.size() != received.size()) {
      report("{} messages are sent from stage {} to {} ({}) but {} are received", sent.size(), from, to,
             to_string(send), received.size());
    }
    auto const common = static_cast<std::ptrdiff_t>(std::min(sent.size(), received.size()));
    auto const wrong = std::mismatch(sent.begin(), sent.begin() + common, received.begin());
    if (wrong.first == sent.begin() + common) return;
    report("message {} from stage {} to {} is the {} of microbatch {}, but microbatch {} is received there",
           wrong.first - sent.begin(), from, to, to_string(send), *wrong.first, *wrong.second);
  }

  void check_deadlock() {
    auto const simulation = simulate(schedule_, deadlock_options());
    std::vector<std::string> waiting;
    for (int stage = 0; stage < schedule_.stages; ++stage) {
      auto const position = simulation.position[static_cast<std::size_t>(stage)];
      if (position == actions(stage).size()) continue;
      waiting.push_back(fmt::format("stage {} at {}", stage, to_string(actions(stage)[position])));
    }
    if (waiting.empty()) return;
    bool const buffered = options_.sends == SendMode::buffered;
    report("deadlock with sends that {}: {}", buffered ? "do not wait" : "wait for their receiver",
           join(waiting));
  }

  [[nodiscard]] SimulationOptions deadlock_options() const {
    SimulationOptions options;
    options.sends_wait = options_.sends == SendMode::rendezvous;
    for (int stage = 0; stage < schedule_.stages; ++stage) options.slots.push_back(slots(schedule_, stage));
    return options;
  }

  Schedule const& schedule_;
  CheckOptions options_;
  std::vector<std::string> problems_;
};

/// Per microbatch the place of its last action in the list; `absent` if it has none.
std::vector<int> last_places(std::vector<Action> const& actions, int microbatches) {
  std::vector<int> last(static_cast<std::size_t>(microbatches), absent);
  for (std::size_t i = 0; i < actions.size(); ++i) {
    last[static_cast<std::size_t>(actions[i].microbatch)] = static_cast<int>(i);
  }
  return last;
}

/// True if microbatch i may use slot i % count: no two hold one at the same time.
bool suffice(std::vector<Action> const& actions, std::vector<int> const& last, int count) {
  constexpr int nobody = -1;
  std::vector<int> holder(static_cast<std::size_t>(count), nobody);
  for (std::size_t i = 0; i < actions.size(); ++i) {
    int const microbatch = actions[i].microbatch;
    int& held_by = holder[static_cast<std::size_t>(microbatch % count)];
    if (held_by != nobody && held_by != microbatch) return false;
    bool const ends = last[static_cast<std::size_t>(microbatch)] == static_cast<int>(i);
    held_by = ends ? nobody : microbatch;
  }
  return true;
}

}  // namespace

std::vector<std::string> check(Schedule const& schedule, CheckOptions const& options) {
  return Checker(schedule, options).run();
}

int slots(Schedule const& schedule, int stage) {
  auto const& actions = schedule.actions.at(static_cast<std::size_t>(stage));
  auto const last = last_places(actions, schedule.microbatches);
  int count = std::max(1, schedule.live_activations(stage));
  while (count < schedule.microbatches && !suffice(actions, last, count)) ++count;
  return count;
}

double bubble_fraction(Schedule const& schedule, double forward_cost, double backward_cost) {
  require(forward_cost > 0 && backward_cost > 0, "a forward and a backward take time");
  auto const simulation = simulate(schedule, {forward_cost, backward_cost, false, {}});
  for (std::size_t stage = 0; stage < schedule.actions.size(); ++stage) {
    require(simulation.position[stage] == schedule.actions[stage].size(), "the schedule has no deadlock");
  }
  double const busy = std::accumulate(simulation.busy.begin(), simulation.busy.end(), 0.0);
  double const length = *std::max_element(simulation.clock.begin(), simulation.clock.end());
  return 1 - busy / (length * static_cast<double>(schedule.actions.size()));
}

}  // namespace tessera::pipeline
