// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/generators.hpp"

#include <fmt/format.h>

#include <algorithm>
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
Schedule write(int stages, int microbatches, bool has_backward, Lead const& lead) {
  std::vector<std::string> problems;
  if (stages < 1) problems.push_back(fmt::format("a pipeline needs at least 1 stage, not {}", stages));
  if (microbatches < 1) {
    problems.push_back(fmt::format("a step needs at least 1 microbatch, not {}", microbatches));
  }
  if (!problems.empty()) throw ConfigError(std::move(problems));

  Schedule schedule{stages, microbatches, {}, has_backward};
  schedule.actions.resize(static_cast<std::size_t>(stages));
  for (int stage = 0; stage < stages; ++stage) {
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

using Generator = Schedule (*)(int stages, int microbatches);

struct NamedGenerator {
  char const* name;
  Generator generate;
};

constexpr NamedGenerator generators[] = {{"gpipe", &gpipe}, {"1f1b", &one_f_one_b}};

}  // namespace

Schedule gpipe(int stages, int microbatches) {
  return write(stages, microbatches, true, [=](int) { return microbatches; });
}

Schedule one_f_one_b(int stages, int microbatches) {
  return write(stages, microbatches, true, [=](int stage) { return stages - 1 - stage; });
}

Schedule forward_only(int stages, int microbatches) {
  return write(stages, microbatches, false, [](int) { return 0; });
}

Schedule make_schedule(std::string_view name, int stages, int microbatches) {
  for (auto const& generator : generators) {
    if (name == generator.name) return generator.generate(stages, microbatches);
  }
  std::string message = fmt::format("unknown pipeline schedule '{}': choose one of", name);
  for (auto const& known : schedule_names()) message += " " + known;
  throw ConfigError({std::move(message)});
}

std::vector<std::string> schedule_names() {
  std::vector<std::string> names;
  for (auto const& generator : generators) names.emplace_back(generator.name);
  return names;
}

}  // namespace tessera::pipeline
