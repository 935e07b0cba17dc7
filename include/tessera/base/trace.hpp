// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A timeline of what this process did, for ui.perfetto.dev. Recording is off until an application starts it;
// a span then costs two clock readings and never allocates.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace tessera {

/// Spans of one process, kept in memory until they are written.
class TraceRecorder {
 public:
  using Clock = std::chrono::steady_clock;

  /// Memory of a recorder with room for `capacity` spans.
  [[nodiscard]] static constexpr std::size_t bytes(std::size_t capacity) noexcept {
    return capacity * sizeof(Event);
  }

  /// Room for `capacity` spans; later ones are counted, not kept. Times count from now, or from `start`.
  explicit TraceRecorder(std::size_t capacity);

  /// Lets times count from `origin`.
  void start(Clock::time_point origin = Clock::now()) noexcept { origin_ = origin; }
  /// Times in events() are multiplied by `rate`, which makes up for a clock that goes otherwise than the one
  /// by which all ranks are shown. 1 at first.
  void set_rate(double rate) noexcept { rate_ = rate; }

  /// Adds a span. `name` and `category` are literals: only their addresses are kept. `number` is a
  /// microbatch, a step or a count of bytes, whatever the name makes of it; negative: none.
  void add(char const* name, char const* category, Clock::time_point start, Clock::time_point end,
           std::int64_t number) noexcept;

  /// Spans that there was no room for.
  [[nodiscard]] std::size_t dropped() const noexcept { return dropped_; }
  /// The spans as members of a Chrome trace's event array, separated by commas; `process` and `thread` become
  /// pid and tid, and name the tracks. If spans were dropped a metadata event "dropped_spans" counts them.
  [[nodiscard]] std::string events(int process, std::string const& process_name, int thread,
                                   std::string const& thread_name) const;

 private:
  struct Event {
    char const* name;
    char const* category;
    std::int64_t start_ns, duration_ns, number;
  };
  std::vector<Event> events_;
  std::size_t dropped_ = 0;
  Clock::time_point origin_;
  double rate_ = 1;
};

/// The recorder of this process, or null. Set by the application before anything else runs, and reset before
/// the recorder goes.
void set_trace_recorder(TraceRecorder* recorder) noexcept;
[[nodiscard]] TraceRecorder* trace_recorder() noexcept;

/// Records the time from its construction to its destruction, if there is a recorder.
class TraceSpan {
 public:
  TraceSpan(char const* name, char const* category, std::int64_t number = -1) noexcept
      : name_(name), category_(category), number_(number) {
    if (trace_recorder() != nullptr) start_ = TraceRecorder::Clock::now();
  }
  TraceSpan(TraceSpan const&) = delete;
  TraceSpan& operator=(TraceSpan const&) = delete;
  ~TraceSpan() {
    if (auto* recorder = trace_recorder()) {
      recorder->add(name_, category_, start_, TraceRecorder::Clock::now(), number_);
    }
  }

 private:
  char const* name_;
  char const* category_;
  std::int64_t number_;
  TraceRecorder::Clock::time_point start_;
};

}  // namespace tessera
