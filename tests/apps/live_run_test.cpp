// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "live_run.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "display.hpp"
#include "events.hpp"
#include "mllog.hpp"

namespace gpt_train {
namespace {

std::string step_line(int step, double step_s, std::string const& more = "") {
  return fmt::format(
      R"({{"step":{},"loss":2.5,"grad_norm":0.75,"lr":1e-3,"tokens":1000,"tokens_per_s":1,"step_s":{},"mfu":0.5,)"
      R"("exposed_comm_s":{},"comm_compute_ratio":0.25,"bubble_s":{}{}}})",
      step, step_s, step_s / 8, step_s / 16, more);
}

std::string begin_line(std::int64_t steps) {
  tessera::train::RunConfig config;
  config.model.name = "tiny \"quoted\"";
  config.training.steps = steps;
  config.parallel.tp = 2;
  auto const layout = tessera::train::resolve(config, 2);
  return begin_event(config, layout, {.nodes = 1, .matmul = "plain", .peak_flops = 1e9});
}

std::string joined(LiveRun const& run, double age_s = 0) {
  std::string all;
  for (auto const& line : run.text(age_s)) all += line + "\n";
  return all;
}

void expect_parts(std::string const& text, std::vector<std::string> const& parts) {
  for (auto const& part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << "\nin\n" << text;
}

TEST(LiveRun, TellsStepLossSpeedAndTimeLeft) {
  LiveRun run;
  run.line(begin_line(50));
  for (int step = 1; step <= 10; ++step) run.line(step_line(step, 0.5));
  run.line(step_line(11, 0.5, R"(,"validation_loss":2.25)"));
  run.line(R"({"event":"save","saved_step":11,"save_s":1.5,"save_blocked_s":0.1,"save_bytes":9})");
  expect_parts(joined(run, 2), {"tiny \"quoted\" on 2 ranks on 1 node: tp 2 x pp 1 x dp 1",
                                "step 11/50  22.0%", "loss    2.50000", "validation 2.25000 at step 11",
                                "2000 tokens/s | 500.0 ms a step | 50.0% of peak",
                                "exposed communication 12.5% | bubble 6.2% | comm/compute 0.25",
                                "saved   step 11 in 1.50 s", "ETA     0:20 | last line 0:02 ago"});
  EXPECT_FALSE(run.ended());
}

TEST(LiveRun, TimesThatNoRunHasAreNotShown) {
  LiveRun run;
  run.line(begin_line(4294967296));
  run.line(step_line(1, 1e300));
  EXPECT_FALSE(run.begun());
  run.line(step_line(2, 1000));
  expect_parts(joined(run), {"step 2/4294967296", "1000000.0 ms a step", "ETA     centuries"});
}

TEST(LiveRun, OneSlowStepDoesNotMoveTheEta) {
  LiveRun run;
  run.line(begin_line(30));
  for (int step = 1; step <= 20; ++step) run.line(step_line(step, step == 13 ? 500 : 1));
  expect_parts(joined(run), {"ETA     0:10"});
}

TEST(LiveRun, AsksAfterARunThatIsSilent) {
  LiveRun run;
  run.line(begin_line(30));
  run.line(step_line(1, 4));
  EXPECT_EQ(joined(run, 19).find("NO NEWS"), std::string::npos);
  expect_parts(joined(run, 21), {"last line 0:21 ago: NO NEWS"});
}

TEST(LiveRun, KnowsHowARunEnded) {
  LiveRun run;
  run.line(begin_line(1));
  run.line(step_line(1, 1));
  run.line(end_event({0, 0xabc, 10, 20}));
  EXPECT_TRUE(run.ended());
  expect_parts(joined(run), {"done, weights 0000000000000abc"});
  run.line(end_event({75, {}, 0, 0}));
  expect_parts(joined(run), {"ended with code 75"});
  run.line(begin_line(9));
  EXPECT_FALSE(run.ended()) << "it was requeued";
  EXPECT_FALSE(run.begun());
}

TEST(LiveRun, BearsWhatOtherProgramsWrite) {
  LiveRun run;
  expect_parts(joined(run), {"no step yet"});
  for (auto const* line : {"", "nonsense", "[1,2]", R"({"event":7})", R"({"step_s":null})"}) run.line(line);
  expect_parts(joined(run), {"no step yet", "3 lines are no JSON objects"});
  run.line(step_line(1, 1, R"(,"more":null)"));
  expect_parts(joined(run), {"step 1\n", "ETA     unknown"});
}

TEST(Display, BarsFillTheirWidth) {
  EXPECT_EQ(bar_text(0, 4), "[>   ]");
  EXPECT_EQ(bar_text(0.5, 4), "[==> ]");
  EXPECT_EQ(bar_text(1, 4), "[====]");
  EXPECT_EQ(bar_text(7, 4), "[====]");
}

TEST(Display, LinesAreCutToTheTerminal) {
  EXPECT_EQ(fitted("abcdef", 4), "abc");
  EXPECT_EQ(fitted("abc", 4), "abc");
  EXPECT_EQ(fitted("abcdef", 0), "abcdef");
}

TEST(Display, ClocksCountHours) {
  EXPECT_EQ(clock_text(59.6), "1:00");
  EXPECT_EQ(clock_text(3661), "1:01:01");
}

TEST(Mllog, SaysNothingWithoutAWriter) {
  Mllog log({}, 8);
  log.run_start(0);
  log.eval_start(1);
  log.eval_stop(1, 2.0, true);
  log.run_stop(1, true);
}

TEST(Mllog, ALossThatIsNoNumberIsNull) {
  std::vector<std::string> lines;
  Mllog log([&](std::string const& line) { lines.push_back(line); }, 8);
  log.run_start(2);
  log.eval_start(3);
  log.eval_stop(3, std::numeric_limits<double>::quiet_NaN(), true);
  log.run_stop(3, false);
  auto const accuracy = nlohmann::json::parse(lines.at(5).substr(9));
  EXPECT_EQ(accuracy["key"], "eval_accuracy");
  EXPECT_TRUE(accuracy["value"].is_null());
  EXPECT_EQ(accuracy["metadata"]["samples_count"], 24);
  auto const last = nlohmann::json::parse(lines.back().substr(9));
  EXPECT_EQ(last["metadata"]["status"], "aborted");
}

}  // namespace
}  // namespace gpt_train
