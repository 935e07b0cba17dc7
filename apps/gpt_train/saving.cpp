// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "saving.hpp"

#include <fmt/format.h>

#include <utility>

#include "agreement.hpp"
#include "text.hpp"

namespace gpt_train {

using tessera::ExitCode;
namespace checkpoint = tessera::checkpoint;
namespace train = tessera::train;

Saving::Saving(train::CheckpointConfig const& config, std::unique_ptr<checkpoint::Saver> saver,
               MakeSnapshot make_snapshot, train::SignalWatch const& signals, Console& console,
               LineFile& metrics)
    : config_(config),
      saver_(std::move(saver)),
      make_snapshot_(std::move(make_snapshot)),
      console_(&console),
      metrics_(&metrics),
      departure_(config, signals, console.speaks(),
                 static_cast<double>(checkpoint::bytes_of_parts(make_snapshot_()))) {
  saver_->reserve(make_snapshot_());
}

bool Saving::due(train::StepReport const& report) const {
  return report.wish >= static_cast<int>(Wish::save) ||
         (config_.interval > 0 && report.step % config_.interval == 0);
}

/// What the ranks do together; what throws here throws on all of them.
void Saving::advance(bool begins, bool ends) {
  auto const keep = [&](std::optional<checkpoint::SaveResult> const& result) {
    if (result) results_.push_back(*result);
  };
  if (saver_->busy()) keep(begins ? saver_->finish() : saver_->poll());
  if (begins) {
    departure_.note_begin();
    saver_->begin(make_snapshot_());
  }
  if (ends || (begins && config_.synchronous)) keep(saver_->finish());
}

std::optional<ExitCode> Saving::after_step(train::StepReport const& report, bool last) {
  departure_.note_step();
  auto const wish = static_cast<Wish>(report.wish);
  bool const leaves = wish >= Wish::leave_in_time && !last;
  bool const ends = last || leaves;
  std::optional<tessera::IoError> failure;
  results_.clear();
  try {
    advance(ends || due(report), ends);
  } catch (tessera::IoError const& error) {
    failure = error;
  }
  for (auto const& result : results_) tell(result);
  if (failure) return failed(*failure, ends);
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

std::optional<ExitCode> Saving::failed(tessera::Error const& error, bool ends) {
  if (!ends && config_.on_failure == "continue") {
    console_->line("warning: a save failed, training goes on: {}", error.what());
    return std::nullopt;
  }
  if (console_->speaks()) print_failure({error.code(), {error.what()}});
  return error.code();
}

}  // namespace gpt_train
