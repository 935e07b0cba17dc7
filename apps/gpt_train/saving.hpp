// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "console.hpp"
#include "departure.hpp"
#include "outputs.hpp"
#include "tessera/base/error.hpp"
#include "tessera/checkpoint/saver.hpp"
#include "tessera/train/step_report.hpp"

namespace gpt_train {

/// Saves a run as its configuration says, tells of it, and decides what a failed save means. All functions
/// but the accessors are collective and give the same on every rank.
class Saving {
 public:
  using MakeSnapshot = std::function<tessera::checkpoint::Snapshot()>;

  /// `signals`, `console` and `metrics` are borrowed; the program began at `start`. Makes the memory for
  /// copies. Throws IoError on all ranks (code no_memory).
  Saving(tessera::train::CheckpointConfig const& config, std::unique_ptr<tessera::checkpoint::Saver> saver,
         MakeSnapshot make_snapshot, tessera::train::SignalWatch const& signals,
         Departure::Clock::time_point start, Console& console, LineFile& metrics);

  /// What this rank wants at the end of the step under way.
  [[nodiscard]] Wish wish() const { return departure_.wish(); }
  /// Seconds that this rank has waited for saves since the last call.
  [[nodiscard]] double take_blocked_s() { return saver_->blocked_s(); }

  /// Memory that this rank holds for copies, bytes.
  [[nodiscard]] std::size_t copy_bytes() const { return saver_->copy_bytes(); }

  /// After every step, `last` or not: moves a save on, begins one where it is due, and waits for it where the
  /// run ends. Gives the code with which the run has to end now, if it has to: requeue, or that of a save
  /// that failed, after saying why.
  std::optional<tessera::ExitCode> after_step(tessera::train::StepReport const& report, bool last);
  /// Waits for the save of an earlier step, if one is under way: what a run does that ends for another
  /// reason. One that fails is told of as its policy says.
  void end_earlier() { go_on_with_earlier(true); }

 private:
  [[nodiscard]] bool due(tessera::train::StepReport const& report) const;
  std::optional<tessera::ExitCode> go_on_with_earlier(bool waits);
  std::optional<tessera::ExitCode> save(bool ends);
  std::optional<tessera::ExitCode> attempt(
      std::function<std::optional<tessera::checkpoint::SaveResult>()> const& piece, bool forgives);
  void tell(tessera::checkpoint::SaveResult const& result);

  tessera::train::CheckpointConfig config_;
  std::unique_ptr<tessera::checkpoint::Saver> saver_;
  MakeSnapshot make_snapshot_;
  Console* console_;
  LineFile* metrics_;
  Departure departure_;
};

}  // namespace gpt_train
