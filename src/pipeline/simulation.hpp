// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "tessera/pipeline/schedule.hpp"

namespace tessera::pipeline {

/// What a schedule is run with. Messages take no time.
struct SimulationOptions {
  double forward_cost = 0;
  double backward_cost = 0;
  /// A send waits until its receiver is at the matching receive.
  bool sends_wait = false;
  /// Per stage: number of send buffers of each channel. Microbatch i uses buffer i % slots; what writes it
  /// (forward; backward and receive backward) waits until the message sent from it before is received. Empty:
  /// no such waits.
  std::vector<int> slots;
};

/// Where every stage came to.
struct Simulation {
  std::vector<std::size_t>
      position;               ///< per stage: index of the action it waits at, or the number of actions
  std::vector<double> clock;  ///< per stage: when it ended its last action
  std::vector<double> busy;   ///< per stage: time spent in compute
};

/// Runs the lists of all stages against each other until none can go on. Messages of a channel are matched in
/// order, whatever microbatch they name; a message to or from a stage that does not exist is never matched.
[[nodiscard]] Simulation simulate(Schedule const& schedule, SimulationOptions const& options);

}  // namespace tessera::pipeline
