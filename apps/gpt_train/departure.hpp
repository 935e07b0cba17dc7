// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "tessera/train/run_config.hpp"
#include "tessera/train/signals.hpp"

namespace gpt_train {

/// What a rank wants all ranks to do at the end of a step. A larger one includes the smaller ones; from
/// leave_in_time on they mean: save and leave.
enum class Wish : int { nothing = 0, save, leave_in_time, leave_on_sigterm, leave_on_sigusr1 };

/// Why a run leaves, for people: "SIGUSR1 came".
[[nodiscard]] std::string reason_text(Wish wish);

/// Seconds from now until the run has to be over: what the configuration says, or else the end of the Slurm
/// job, which is the text of SLURM_JOB_END_TIME in seconds since 1970; null where there is none. Nothing
/// where neither is known, or, with a warning in the log, where the text is no number or lies in the past:
/// the end of a job may have been moved.
[[nodiscard]] std::optional<double> seconds_left(double limit_minutes, char const* slurm_end, double now);

/// When to leave so that there is still time to save. It knows how long steps and saves have taken and wants,
/// beyond the next step and a save, a twentieth of the whole time, at most 30 s.
class TimeLimit {
 public:
  /// `left_s` seconds from 0, the beginning of the program. `save_s` is what a save is believed to take until
  /// one has been seen.
  TimeLimit(double left_s, double save_s);

  void note_step(double seconds);
  void note_save(double seconds);
  /// Whether a run that makes another step after `now_s` could come too late; the one that is ending then has
  /// taken `step_s` so far.
  [[nodiscard]] bool reached(double now_s, double step_s) const;

 private:
  double end_s_;
  double save_s_;
  double step_s_ = 0;
};

/// Knows when this rank has reason to save or leave: signals on every rank, clocks on rank 0 alone.
class Departure {
 public:
  using Clock = std::chrono::steady_clock;

  /// `signals` is borrowed. Limits of time count from `start`, when the program began. `save_bytes` is what
  /// one rank writes in a save: the first is believed to go at 100 MB/s.
  Departure(tessera::train::CheckpointConfig const& config, tessera::train::SignalWatch const& signals,
            bool has_clock, double save_bytes, Clock::time_point start);

  [[nodiscard]] Wish wish() const;
  /// A step has ended, with all that goes with it: validation, waiting for saves.
  void note_step();
  /// A save has begun.
  void note_begin();
  /// A save has taken so long.
  void note_save(double seconds);

 private:
  [[nodiscard]] static double since(Clock::time_point moment);

  tessera::train::SignalWatch const* signals_;
  bool has_clock_;
  double interval_s_;
  Clock::time_point start_, last_save_ = Clock::now(), last_step_ = last_save_;
  std::optional<TimeLimit> limit_;
};

}  // namespace gpt_train
