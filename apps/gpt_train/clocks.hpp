// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "tessera/comm/communicator.hpp"

namespace gpt_train {

/// How the steady clock of this process stands to that of rank 0.
struct ClockOffset {
  double offset_s = 0;  ///< to be added to a moment of this clock to have it by rank 0's
  double error_s = 0;   ///< at most so far off
};

/// The steady clock in seconds, and a moment of it.
[[nodiscard]] double steady_seconds();
[[nodiscard]] std::chrono::steady_clock::time_point moment_of(double seconds);

/// Collective. Clocks of hosts count from different moments and drift apart. Processes of one boot of one
/// host read the same clock: those that give the same `boot` as rank 0 get 0, and of any other boot one
/// process asks rank 0 for the time and back some dozen times; the quickest exchange counts, half of which is
/// the error. `clock` gives seconds.
[[nodiscard]] ClockOffset clock_offset(tessera::comm::Communicator& world, std::string const& boot,
                                       std::function<double()> const& clock);

/// The same of this host's boot and steady_seconds().
[[nodiscard]] ClockOffset clock_offset(tessera::comm::Communicator& world);

}  // namespace gpt_train
