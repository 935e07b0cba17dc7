// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "formats.hpp"

namespace tessera::bench {

struct Options {
  Format format = Format::table;
  std::string backend = "mpi";
  std::vector<std::string> collectives, kinds;  ///< empty: all
  std::size_t min_bytes = 4096, max_bytes = std::size_t{1} << 24, factor = 16;
  Repetition repetition{0, 2};  ///< no iterations: 200 below 1 MiB, 20 from there on
  bool in_place = true, out_of_place = true;
  std::string output;  ///< empty: standard output
  std::string help;    ///< not empty: print it and end
  std::vector<std::string> of_google_benchmark;

  [[nodiscard]] Repetition repetition_of(std::size_t bytes) const;
};

/// Reads the arguments, without the program's name. Throws ConfigError (code usage).
[[nodiscard]] Options parse_options(std::vector<std::string> arguments);

}  // namespace tessera::bench
