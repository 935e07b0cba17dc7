// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "saving.hpp"

#include <fmt/format.h>

#include <functional>
#include <utility>

#include "agreement.hpp"
#include "text.hpp"

namespace gpt_train {

using tessera::ExitCode;
namespace checkpoint = tessera::checkpoint;
namespace train = tessera::train;

Saving::Saving(train::CheckpointConfig const& config, std::unique_ptr<checkpoint::Saver> saver,
               MakeSnapshot make_snapshot, train::SignalWatch const& signals,
               Departure::Clock::time_point start, Console& console, LineFile& metrics)
    : config_(config),
      saver_(std::move(saver)),
      make_snapshot_(std::move(make_snapshot)),
      console_(&console),
      metrics_(&metrics),
      departure_(config, signals, console.speaks(),
                 static_cast<double>(checkpoint::bytes_of_parts(make_snapshot_())), start) {
  saver_->reserve(make_snapshot_());
}

bool Saving::due(train::StepReport const& report) const {
  return report.wish >= static_cast<int>(Wish::save) ||
         (config_.interval > 0 && report.step % config_.interval == 0);
}

/// Moves on the save of an earlier step; waits for it where the next one has to begin.
std::optional<ExitCode> Saving::go_on_with_earlier(bool waits) {
  if (!saver_->busy()) return std::nullopt;
  return attempt([&] { return waits ? saver_->finish() : saver_->poll(); }, config_.on_failure == "continue");
}

std::optional<ExitCode> Saving::save(bool ends) {
  departure_.note_begin();
  return attempt(
      [&]() -> std::optional<checkpoint::SaveResult> {
        saver_->begin(make_snapshot_());
        if (ends || config_.synchronous) return saver_->finish();
        return std::nullopt;
      },
      config_.on_failure == "continue" && !ends);
}

/// What the ranks do together: what it throws is thrown on all of them. A mistake of the program is no failed
/// save.
std::optional<ExitCode> Saving::attempt(std::function<std::optional<checkpoint::SaveResult>()> const& piece,
                                        bool forgives) {
  try {
    if (auto const result = piece()) tell(*result);
    return std::nullopt;
  } catch (tessera::Error const& error) {
    if (error.code() == ExitCode::internal) throw;
    if (!forgives) {
      if (console_->speaks()) print_failure({error.code(), {error.what()}});
      return error.code();
    }
    console_->line("warning: a save failed, training goes on: {}", error.what());
    return std::nullopt;
  }
}

std::optional<ExitCode> Saving::after_step(train::StepReport const& report, bool last) {
  departure_.note_step();
  auto const wish = static_cast<Wish>(report.wish);
  bool const leaves = wish >= Wish::leave_in_time && !last;
  bool const ends = last || leaves;
  bool const begins = ends || due(report);
  if (auto const code = go_on_with_earlier(begins)) return code;
  if (auto const code = begins ? save(ends) : std::nullopt) return code;
  if (!leaves) return std::nullopt;
  console_->line(
      "leaves after step {}, which is saved, because {}: please requeue; the same command with "
      "--resume goes on",
      report.step, reason_text(wish));
  return ExitCode::requeue;
}

void Saving::tell(checkpoint::SaveResult const& result) {
  departure_.note_save(result.total_s);
  if (!console_->speaks()) return;
  if (result.existed) {
    console_->line("kept {}, which was there already and is whole", result.directory);
  } else {
    console_->line("saved {} ({}, {:.2f} s, blocked {:.3f} s)", result.directory,
                   bytes_text(static_cast<double>(result.bytes)), result.total_s, result.blocked_s);
  }
  metrics_->write(fmt::format(
      R"({{"event":"save","saved_step":{},"save_s":{:.6f},"save_blocked_s":{:.6f},"save_bytes":{}}})",
      result.step, result.total_s, result.blocked_s, result.bytes));
}

}  // namespace gpt_train
