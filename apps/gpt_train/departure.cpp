// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "departure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tessera/base/log.hpp"
#include "tessera/checkpoint/files.hpp"

namespace gpt_train {

namespace {

constexpr double most_margin_s = 30;
constexpr double margin_share = 0.05;
constexpr double believed_bytes_per_s = 100e6;

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

std::string reason_text(Wish wish) {
  switch (wish) {
    case Wish::leave_on_sigusr1: return "SIGUSR1 came";
    case Wish::leave_on_sigterm: return "SIGTERM came";
    case Wish::leave_in_time: return "the time is nearly over";
    default: return "nobody asked for it";
  }
}

std::optional<double> seconds_left(double limit_minutes, char const* slurm_end, double now) {
  if (limit_minutes > 0) return 60 * limit_minutes;
  if (slurm_end == nullptr) return std::nullopt;
  std::string_view const text(slurm_end);
  std::int64_t end = 0;
  auto const [rest, error] = std::from_chars(text.data(), text.data() + text.size(), end);
  double const left = static_cast<double>(end) - now;
  bool const number = error == std::errc{} && rest == text.data() + text.size();
  if (number && left > 0) return left;
  tessera::log(tessera::LogLevel::warning,
               fmt::format("SLURM_JOB_END_TIME is {} {}: the run does not know when to leave; "
                           "--time-limit-minutes tells it",
                           tessera::checkpoint::in_quotes(text),
                           number ? "and has passed" : "and no time in seconds since 1970"));
  return std::nullopt;
}

TimeLimit::TimeLimit(double left_s, double save_s)
    : end_s_(left_s - std::min(most_margin_s, margin_share * left_s)), save_s_(save_s) {}

void TimeLimit::note_step(double seconds) { step_s_ = std::max(step_s_, seconds); }

void TimeLimit::note_save(double seconds) { save_s_ = seconds; }

bool TimeLimit::reached(double now_s, double step_s) const {
  return now_s + std::max(step_s_, step_s) + save_s_ >= end_s_;
}

Departure::Departure(tessera::train::CheckpointConfig const& config,
                     tessera::train::SignalWatch const& signals, bool has_clock, double save_bytes,
                     Clock::time_point start)
    : signals_(&signals), has_clock_(has_clock), interval_s_(60 * config.interval_minutes), start_(start) {
  auto const left = has_clock ? seconds_left(config.time_limit_minutes, std::getenv("SLURM_JOB_END_TIME"),
                                             seconds_since_1970() - since(start_))
                              : std::nullopt;
  if (left) limit_.emplace(*left, save_bytes / believed_bytes_per_s);
}

double Departure::since(Clock::time_point moment) {
  return std::chrono::duration<double>(Clock::now() - moment).count();
}

Wish Departure::wish() const {
  int const signal = signals_->first();
  if (signal == SIGUSR1) return Wish::leave_on_sigusr1;
  if (signal == SIGTERM) return Wish::leave_on_sigterm;
  if (!has_clock_) return Wish::nothing;
  if (limit_ && limit_->reached(since(start_), since(last_step_))) return Wish::leave_in_time;
  return interval_s_ > 0 && since(last_save_) >= interval_s_ ? Wish::save : Wish::nothing;
}

void Departure::note_step() {
  if (limit_) limit_->note_step(since(last_step_));
  last_step_ = Clock::now();
}

void Departure::note_begin() { last_save_ = Clock::now(); }

void Departure::note_save(double seconds) {
  if (limit_) limit_->note_save(seconds);
}

}  // namespace gpt_train
