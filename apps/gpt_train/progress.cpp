// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "progress.hpp"

#include "display.hpp"

namespace gpt_train {

namespace {

constexpr std::int64_t warm_up_steps = 2;
constexpr int bar_width = 24;

/// Why a step changed nothing.
std::string skipped_text(tessera::train::StepReport const& report) {
  if (!report.skipped) return "";
  if (!report.overflowed) return " | NOT FINITE: weights unchanged";
  return fmt::format(" | gradients overflowed at loss scale {:.0f}: weights unchanged, the scale is halved",
                     report.loss_scale);
}

}  // namespace

Progress::Progress(Console& console, std::int64_t steps, std::int64_t log_interval,
                   tessera::train::Efficiency efficiency)
    : console_(&console), steps_(steps), log_interval_(log_interval), efficiency_(efficiency) {}

std::string Progress::line(tessera::train::StepReport const& report) const {
  double const percent = 100 / report.step_s;
  return fmt::format(
      "step {:>6}/{} | loss {:.5f} | grad norm {:.4f} | lr {:.3e} | {:.0f} tokens/s | {:.1f} GFLOP/s, "
      "{:.1f}% of peak | "
      "exposed comm {:.1f}% | bubble {:.1f}%{}",
      report.step, steps_, report.loss, report.grad_norm, report.learning_rate, report.tokens_per_s(),
      efficiency_.model_flops(report) * 1e-9, 100 * efficiency_.mfu(report), percent * report.exposed_comm_s,
      percent * report.bubble_s, skipped_text(report));
}

std::string Progress::bar(tessera::train::StepReport const& report) const {
  double const share = static_cast<double>(report.step) / static_cast<double>(steps_);
  double const left_s = static_cast<double>(steps_ - report.step) * seconds_ / static_cast<double>(made_);
  return fmt::format("{} {:3.0f}% ETA {} | step {}/{} | loss {:.4f} | {:.0f} tokens/s | {:.0f}% of peak",
                     bar_text(share, bar_width), 100 * share, clock_text(left_s), report.step, steps_,
                     report.loss, report.tokens_per_s(), 100 * efficiency_.mfu(report));
}

void Progress::step(tessera::train::StepReport const& report) {
  tokens_ += static_cast<double>(report.tokens);
  seconds_ += report.step_s;
  if (++made_ > warm_up_steps) {
    warm_tokens_ += static_cast<double>(report.tokens);
    warm_seconds_ += report.step_s;
  }
  bool const ends = made_ == 1 || report.step == steps_ || report.skipped;
  bool const logs = report.step % log_interval_ == 0;
  if (console_->is_terminal() ? ends : (ends || logs)) console_->line(line(report));
  if (console_->is_terminal() && report.step < steps_) console_->status(bar(report));
}

void Progress::validation(std::int64_t step, double loss) {
  console_->line("step {:>6}/{} | validation loss {:.5f}", step, steps_, loss);
}

double Progress::tokens_per_s() const {
  if (warm_seconds_ > 0) return warm_tokens_ / warm_seconds_;
  return seconds_ > 0 ? tokens_ / seconds_ : 0;
}

double Progress::mfu() const { return efficiency_.flops_per_token * tokens_per_s() / efficiency_.peak_flops; }

}  // namespace gpt_train
