// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <source_location>
#include <string>
#include <string_view>

#include "events.hpp"
#include "tessera/train/run_config.hpp"
#include "tessera/train/validation.hpp"

namespace gpt_train {

/// The course of a run as the lines `:::MLLOG {...}` that MLPerf's tools read: what the run is, when it is
/// initialised, trains and evaluates, and its evaluations. The quality of a language model is its validation
/// loss, under the key eval_accuracy. It is a log, no submission: the keys submission_* are left to the user.
class Mllog {
 public:
  using Write = std::function<void(std::string const&)>;

  /// `write` takes a line without newline; an empty one makes a log that says nothing.
  Mllog(Write write, std::int64_t global_batch_size);

  /// The configuration, and that initialisation began when the program did.
  void begin(tessera::train::RunConfig const& config, tessera::train::Layout const& layout,
             RunFacts const& facts);
  /// Initialisation is over and training begins after `step` steps.
  void run_start(std::int64_t step);
  /// Training halts after `step` for an evaluation.
  void eval_start(std::int64_t step);
  /// The evaluation gave `loss`; training goes on unless the step was the `last`.
  void eval_stop(std::int64_t step, double loss, bool last);
  /// The run is over after `step`, having made all its steps or not.
  void run_stop(std::int64_t step, bool success);

 private:
  enum class Kind { point, start, stop };
  template <class Value>
  void event(Kind kind, std::string_view key, Value const& value, std::int64_t step = -1,
             std::string_view status = {}, std::source_location where = std::source_location::current());

  Write write_;
  std::int64_t global_batch_size_;
  bool in_block_ = false;
};

}  // namespace gpt_train
