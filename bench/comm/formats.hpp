// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Measurements in the layouts that people's tools read. The figures are Tessera's; only the layout is another
// program's, and each output says so.
#pragma once

#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "measurement.hpp"

namespace tessera::bench {

enum class Format {
  table,  ///< Google Benchmark's
  nccl,   ///< nccl-tests: a table for each collective and kind, out of place and in place side by side
  osu,    ///< OSU Micro-Benchmarks, with -f: size, average, least and largest latency over the ranks
  json,   ///< one object with a row for each measurement
  csv     ///< a line of names, then a line for each measurement
};

/// What the head of an output says of the whole run.
struct RunHead {
  int ranks = 1;
  std::size_t min_bytes = 0, max_bytes = 0, factor = 2;
  Repetition repetition;
  std::vector<std::string> hosts;  ///< by rank
  std::vector<int> processes;      ///< ids, by rank
  /// Kinds that were asked for and that so many ranks have no communicator of.
  std::vector<std::string> left_out;
};

/// "a, b", each in quotation marks if such are given.
[[nodiscard]] std::string listed(std::span<std::string const> names, std::string_view quote = {});

/// What comes before all, and after.
[[nodiscard]] std::string opening(Format format, RunHead const& head);
[[nodiscard]] std::string closing(Format format, std::span<Measurement const> all);

/// The measurements of one collective and one kind, by size; `first` if no other group came before.
[[nodiscard]] std::string group_text(Format format, std::span<Measurement const> group, bool first);

}  // namespace tessera::bench
