// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/base/trace.hpp"

#include <fmt/format.h>

#include <iterator>

namespace tessera {

namespace {

TraceRecorder* current = nullptr;

std::int64_t nanoseconds(TraceRecorder::Clock::duration duration) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
}

}  // namespace

void set_trace_recorder(TraceRecorder* recorder) noexcept { current = recorder; }
TraceRecorder* trace_recorder() noexcept { return current; }

TraceRecorder::TraceRecorder(std::size_t capacity) : origin_(Clock::now()) { events_.reserve(capacity); }

void TraceRecorder::add(char const* name, char const* category, Clock::time_point start,
                        Clock::time_point end, std::int64_t number) noexcept {
  if (events_.size() == events_.capacity()) {
    ++dropped_;
    return;
  }
  events_.push_back({name, category, nanoseconds(start - origin_), nanoseconds(end - start), number});
}

std::string TraceRecorder::events(int process, std::string const& process_name, int thread,
                                  std::string const& thread_name) const {
  std::string text;
  auto const out = std::back_inserter(text);
  fmt::format_to(out, R"({{"ph":"M","name":"process_name","pid":{},"args":{{"name":"{}"}}}},)", process,
                 process_name);
  fmt::format_to(out, "\n");
  fmt::format_to(out, R"({{"ph":"M","name":"thread_name","pid":{},"tid":{},"args":{{"name":"{}"}}}})",
                 process, thread, thread_name);
  fmt::format_to(out, ",\n");
  fmt::format_to(out,
                 R"({{"ph":"M","name":"thread_sort_index","pid":{},"tid":{},"args":{{"sort_index":{}}}}})",
                 process, thread, thread);
  if (dropped_ > 0) {
    fmt::format_to(out, ",\n");
    fmt::format_to(out, R"({{"ph":"M","name":"dropped_spans","pid":{},"tid":{},"args":{{"count":{}}}}})",
                   process, thread, dropped_);
  }
  for (auto const& event : events_) {
    fmt::format_to(out, ",\n");
    fmt::format_to(out, R"({{"ph":"X","name":"{}","cat":"{}","pid":{},"tid":{},"ts":{:.3f},"dur":{:.3f})",
                   event.name, event.category, process, thread,
                   rate_ * static_cast<double>(event.start_ns) * 1e-3,
                   rate_ * static_cast<double>(event.duration_ns) * 1e-3);
    if (event.number >= 0) fmt::format_to(out, R"(,"args":{{"number":{}}})", event.number);
    text += '}';
  }
  return text;
}

}  // namespace tessera
