// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "live_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "display.hpp"

namespace gpt_train {

namespace {

using Json = nlohmann::json;

constexpr std::size_t steps_kept = 20;
constexpr int live_bar_width = 40;
/// A run is asked after when it has been silent for so many steps, and for ten seconds.
constexpr double patient_steps = 5;
constexpr double patient_s = 10;
/// More than a year is no time of a step.
constexpr double longest_step_s = 4e7;
/// The longest time that is shown.
constexpr double longest_eta_s = 1e10;

/// A number of `object`; NaN where it is null, or not there.
double number_in(Json const& object, char const* key) {
  auto const found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>()
                                                     : std::numeric_limits<double>::quiet_NaN();
}

std::int64_t integer_in(Json const& object, char const* key) {
  auto const found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

std::string text_in(Json const& object, char const* key) {
  auto const found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string layout_of(Json const& begin) {
  auto const count = [&](char const* key) { return integer_in(begin, key); };
  return fmt::format("{} rank{} on {} node{}: tp {} x pp {} x dp {}", count("ranks"),
                     count("ranks") == 1 ? "" : "s", count("nodes"), count("nodes") == 1 ? "" : "s",
                     count("tp"), count("pp"), count("dp"));
}

}  // namespace

void LiveRun::line(std::string_view text) {
  auto const object = Json::parse(text, nullptr, false);
  if (!object.is_object()) {
    ++strange_;
    return;
  }
  ++objects_;
  auto const event = text_in(object, "event");
  if (event == "begin") {
    begin_ = Begin{text_in(object, "model"), layout_of(object), integer_in(object, "steps")};
    end_.reset();
    recent_.clear();
  } else if (event == "save") {
    save_ = Save{integer_in(object, "saved_step"), number_in(object, "save_s")};
  } else if (event == "end") {
    end_ = End{static_cast<int>(integer_in(object, "code")), text_in(object, "weights")};
  } else if (auto const step_s = number_in(object, "step_s"); step_s > 0 && step_s < longest_step_s) {
    auto const of = [&](char const* key) { return number_in(object, key); };
    recent_.push_back({integer_in(object, "step"), of("loss"), of("grad_norm"), of("lr"), of("tokens"),
                       of("step_s"), of("mfu"), of("exposed_comm_s"), of("bubble_s"),
                       of("comm_compute_ratio")});
    if (recent_.size() > steps_kept) recent_.pop_front();
    if (auto const skipped = object.find("skipped"); skipped != object.end() && *skipped == true) ++skipped_;
    if (object.contains("validation_loss"))
      validation_ = Validation{recent_.back().step, of("validation_loss")};
  }
}

template <class Of>
double LiveRun::typical(Of const& of) const {
  std::vector<double> values;
  for (auto const& step : recent_) {
    if (std::isfinite(of(step))) values.push_back(of(step));
  }
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  auto const middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

std::string LiveRun::place_text() const {
  auto const step = recent_.back().step;
  if (!begin_ || begin_->steps <= 0) return fmt::format("step {}", step);
  double const share = static_cast<double>(step) / static_cast<double>(begin_->steps);
  return fmt::format("step {}/{}  {:.1f}%  {}", step, begin_->steps, 100 * share,
                     bar_text(share, live_bar_width));
}

std::string LiveRun::speed_text() const {
  double const step_s = typical([](Step const& step) { return step.step_s; });
  return fmt::format("speed   {:.0f} tokens/s | {:.1f} ms a step | {:.1f}% of peak",
                     recent_.back().tokens / step_s, 1e3 * step_s,
                     100 * typical([](Step const& step) { return step.mfu; }));
}

std::string LiveRun::time_text() const {
  return fmt::format("time    exposed communication {:.1f}% | bubble {:.1f}% | comm/compute {:.2f}",
                     100 * typical([](Step const& step) { return step.exposed_comm_s / step.step_s; }),
                     100 * typical([](Step const& step) { return step.bubble_s / step.step_s; }),
                     typical([](Step const& step) { return step.ratio; }));
}

std::string LiveRun::ending_text(double age_s) const {
  if (end_) {
    auto const how = end_->code == 0 ? std::string("done") : fmt::format("ended with code {}", end_->code);
    return fmt::format("{}{}{}", how, end_->weights.empty() ? "" : ", weights ", end_->weights);
  }
  double const step_s = typical([](Step const& step) { return step.step_s; });
  auto const left = begin_ && begin_->steps > 0
                        ? static_cast<double>(begin_->steps - recent_.back().step) * step_s
                        : std::numeric_limits<double>::quiet_NaN();
  auto const eta = !std::isfinite(left)   ? "unknown: the file does not say how many steps"
                   : left > longest_eta_s ? "centuries"
                                          : clock_text(left);
  bool const silent = age_s > std::max(patient_s, patient_steps * step_s);
  return fmt::format("ETA     {} | last line {} ago{}", eta, clock_text(age_s),
                     silent ? ": NO NEWS, does the run live?" : "");
}

std::vector<std::string> LiveRun::text(double age_s) const {
  std::vector<std::string> lines;
  if (begin_) lines.push_back(fmt::format("{} on {}", begin_->model, begin_->layout));
  if (recent_.empty()) {
    lines.push_back(end_ ? fmt::format("ended with code {} without a step", end_->code) : "no step yet");
  } else {
    auto const& last = recent_.back();
    lines.push_back(place_text());
    auto loss =
        fmt::format("loss    {:.5f} | grad norm {:.4f} | lr {:.3e}", last.loss, last.grad_norm, last.lr);
    if (validation_)
      loss += fmt::format(" | validation {:.5f} at step {}", validation_->loss, validation_->step);
    if (skipped_ > 0) loss += fmt::format(" | {} steps skipped: not finite", skipped_);
    lines.push_back(std::move(loss));
    lines.push_back(speed_text());
    lines.push_back(time_text());
    if (save_) lines.push_back(fmt::format("saved   step {} in {:.2f} s", save_->step, save_->seconds));
    lines.push_back(ending_text(age_s));
  }
  if (strange_ > 0) lines.push_back(fmt::format("{} lines are no JSON objects", strange_));
  return lines;
}

}  // namespace gpt_train
