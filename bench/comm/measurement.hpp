// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "collective.hpp"

namespace tessera::bench {

struct Repetition {
  int iterations = 20;
  int warmup = 2;
};

/// The times of one collective, one kind of communicator and one size. Times are seconds from a barrier on.
struct Measurement {
  Collective const* collective = nullptr;
  std::string kind;  ///< Communicator::backend
  int ranks = 1;
  std::size_t asked_bytes = 0;  ///< of the whole buffer, as the caller said
  std::size_t bytes = 0;        ///< as it was: whole elements, and equal parts where it is in parts
  bool in_place = true;
  int iterations = 0;
  std::int64_t wrong = 0;  ///< elements of the results of all ranks
  /// Of the rank that ended last, over the iterations.
  double median_s = 0, mean_s = 0, min_s = 0, max_s = 0;
  /// Of each rank's own mean, over the ranks.
  double rank_mean_s = 0, rank_min_s = 0, rank_max_s = 0;

  /// Elements of a part, or of the whole where there are no parts.
  [[nodiscard]] std::size_t count() const;
  [[nodiscard]] double algorithm_rate() const { return static_cast<double>(bytes) / median_s; }
  [[nodiscard]] double bus_rate() const { return algorithm_rate() * collective->bus_factor(ranks); }
};

/// Collective. Verifies once, then times. The number of iterations is fixed: ranks that disagreed on it would
/// wait for each other for ever.
[[nodiscard]] Measurement measure(comm::Communicator& comm, Collective const& collective, std::size_t bytes,
                                  bool in_place, Repetition const& repetition);

/// Collective. Bytes a second of a copy of `bytes` on all ranks at once: the limit of links that are memory.
[[nodiscard]] double copy_rate(comm::Communicator& comm, std::size_t bytes);

}  // namespace tessera::bench
