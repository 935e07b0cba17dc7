// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/base/trace.hpp"

#include <gtest/gtest.h>

namespace tessera {
namespace {

int count_of(std::string const& text, std::string const& part) {
  int count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(TraceRecorder, SpansBeyondItsRoomAreCountedAndTold) {
  TraceRecorder recorder(3);
  auto const now = TraceRecorder::Clock::now();
  for (int i = 0; i < 3; ++i) recorder.add("work", "test", now, now, i);
  EXPECT_EQ(recorder.dropped(), 0u);
  EXPECT_EQ(count_of(recorder.events(0, "p", 0, "t"), "dropped_spans"), 0);
  for (int i = 0; i < 2; ++i) recorder.add("work", "test", now, now, i);
  EXPECT_EQ(recorder.dropped(), 2u);
  auto const text = recorder.events(4, "p", 5, "t");
  EXPECT_EQ(count_of(text, R"("ph":"X")"), 3);
  EXPECT_EQ(count_of(text, R"("name":"dropped_spans","pid":4,"tid":5,"args":{"count":2})"), 1);
}

TEST(TraceRecorder, TimesCountFromItsOriginAtItsRate) {
  TraceRecorder recorder(1);
  auto const now = TraceRecorder::Clock::now();
  using std::chrono::milliseconds;
  recorder.start(now - milliseconds(100));
  recorder.set_rate(1.5);
  recorder.add("late", "test", now, now + milliseconds(4), -1);
  EXPECT_EQ(count_of(recorder.events(0, "p", 0, "t"), R"("ts":150000.000,"dur":6000.000)"), 1);
}

TEST(TraceRecorder, SpansGoToTheRecorderOfTheProcess) {
  TraceRecorder recorder(4);
  { TraceSpan const before("before", "test"); }
  set_trace_recorder(&recorder);
  { TraceSpan const during("during", "test", 7); }
  set_trace_recorder(nullptr);
  auto const text = recorder.events(0, "p", 0, "t");
  EXPECT_EQ(count_of(text, "before"), 0);
  EXPECT_EQ(count_of(text, R"("name":"during","cat":"test")"), 1);
  EXPECT_EQ(count_of(text, R"("number":7)"), 1);
}

}  // namespace
}  // namespace tessera
