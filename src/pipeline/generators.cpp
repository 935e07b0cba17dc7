// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/generators.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "tessera/base/error.hpp"

namespace tessera::pipeline {

namespace {

/// The list of one stage in the making: each compute stands between the messages that belong to it.
class StageWriter {
 public:
  StageWriter(std::vector<Action>& actions, int stage, int stages)
      : actions_(actions), is_first_(stage == 0), is_last_(stage == stages - 1) {}

  void forward(int microbatch) {
    if (!is_first_) actions_.push_back({ActionKind::receive_forward, microbatch});
    actions_.push_back({ActionKind::forward, microbatch});
    if (!is_last_) actions_.push_back({ActionKind::send_forward, microbatch});
  }

  void backward(int microbatch) {
    if (!is_last_) actions_.push_back({ActionKind::receive_backward, microbatch});
    actions_.push_back({ActionKind::backward, microbatch});
    if (!is_first_) actions_.push_back({ActionKind::send_backward, microbatch});
  }

 private:
  std::vector<Action>& actions_;
  bool is_first_;
  bool is_last_;
};

/// Stage s runs `lead(s)` (at most all) forwards ahead of its backwards, alternates, then drains.
template <typename Lead>
Schedule write(int stages, int microbatches, bool has_backward, std::optional<int> only, Lead const& lead) {
  std::vector<std::string> problems;
  if (stages < 1) problems.push_back(fmt::format("a pipeline needs at least 1 stage, not {}", stages));
  if (microbatches < 1) {
    problems.push_back(fmt::format("a step needs at least 1 microbatch, not {}", microbatches));
  }
  if (!problems.empty()) throw ConfigError(std::move(problems));

  Schedule schedule{stages, microbatches, {}, has_backward};
  schedule.actions.resize(static_cast<std::size_t>(stages));
  for (int stage = 0; stage < stages; ++stage) {
    if (only && stage != *only) continue;
    StageWriter writer(schedule.actions[static_cast<std::size_t>(stage)], stage, stages);
    int const ahead = std::min(microbatches, lead(stage));
    for (int i = 0; i < ahead; ++i) writer.forward(i);
    for (int i = 0; i < microbatches; ++i) {
      if (i + ahead < microbatches) writer.forward(i + ahead);
      if (has_backward) writer.backward(i);
    }
  }
  return schedule;
}

/// A training schedule: by how many forwards a stage is ahead of its backwards.
struct Named {
  char const* name;
  int (*lead)(int stages, int microbatches, int stage);
};

constexpr Named gpipe_schedule{"gpipe", [](int, int microbatches, int) { return microbatches; }};
constexpr Named one_f_one_b_schedule{"1f1b", [](int stages, int, int stage) { return stages - 1 - stage; }};
constexpr std::array training_schedules{gpipe_schedule, one_f_one_b_schedule};

Schedule write(Named const& schedule, int stages, int microbatches, std::optional<int> only = {}) {
  return write(stages, microbatches, true, only,
               [&](int stage) { return schedule.lead(stages, microbatches, stage); });
}

Named const& find_schedule(std::string_view name) {
  for (auto const& schedule : training_schedules) {
    if (name == schedule.name) return schedule;
  }
  std::string message = fmt::format("unknown pipeline schedule '{}': choose one of", name);
  for (auto const& known : schedule_names()) message += " " + known;
  throw ConfigError({std::move(message)});
}

}  // namespace

Schedule gpipe(int stages, int microbatches) { return write(gpipe_schedule, stages, microbatches); }

Schedule one_f_one_b(int stages, int microbatches) {
  return write(one_f_one_b_schedule, stages, microbatches);
}

Schedule forward_only(int stages, int microbatches, std::optional<int> only) {
  return write(stages, microbatches, false, only, [](int) { return 0; });
}

Schedule make_schedule(std::string_view name, int stages, int microbatches, std::optional<int> only) {
  return write(find_schedule(name), stages, microbatches, only);
}

int closed_form_slots(std::string_view name, int stages, int microbatches, int stage) {
  int const lead = find_schedule(name).lead(stages, microbatches, stage);
  return lead < microbatches ? lead + 1 : microbatches;
}

double closed_form_bubble(int stages, int microbatches) {
  return (stages - 1.0) / (microbatches + (stages - 1.0));
}

std::vector<std::string> schedule_names() {
  std::vector<std::string> names;
  names.reserve(training_schedules.size());
  for (auto const& schedule : training_schedules) names.emplace_back(schedule.name);
  return names;
}

}  // namespace tessera::pipeline
