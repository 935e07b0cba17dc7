// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/step_report.hpp"

#include <fmt/format.h>

#include <cmath>

namespace tessera::train {

namespace {

std::string number(double value) { return std::isfinite(value) ? fmt::format("{:.17g}", value) : "null"; }

std::string by_axis(StepReport const& report, double AxisTraffic::*field) {
  std::string text;
  for (std::size_t i = 0; i < reported_axes.size(); ++i) {
    text += fmt::format(R"({}"{}":{:.0f})", i == 0 ? "" : ",", reported_axes[i], report.traffic[i].*field);
  }
  return text;
}

}  // namespace

std::string metrics_line(StepReport const& report, Efficiency const& efficiency,
                         double const* validation_loss) {
  std::string line = fmt::format(
      R"({{"step":{},"loss":{},"grad_norm":{},"lr":{},"tokens":{},"tokens_per_s":{},"step_s":{},"mfu":{},)"
      R"("exposed_comm_s":{},"comm_compute_ratio":{},"bubble_s":{},"loss_scale":{},"skipped":{},"save_blocked_s":{},)",
      report.step, number(report.loss), number(report.grad_norm), number(report.learning_rate), report.tokens,
      number(report.tokens_per_s()), number(report.step_s), number(efficiency.mfu(report)),
      number(report.exposed_comm_s), number(report.comm_compute_ratio()), number(report.bubble_s),
      number(report.loss_scale), report.skipped, number(report.save_blocked_s));
  line += fmt::format(R"("comm_bytes":{{{}}},"comm_calls":{{{}}})", by_axis(report, &AxisTraffic::bytes),
                      by_axis(report, &AxisTraffic::calls));
  if (validation_loss != nullptr) line += fmt::format(R"(,"validation_loss":{})", number(*validation_loss));
  return line + "}";
}

}  // namespace tessera::train
