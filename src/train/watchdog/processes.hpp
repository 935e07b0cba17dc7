// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

namespace tessera::train {

/// What the system says of a process.
struct ProcessStatus {
  char state = '?';           ///< R runs, S and D wait, T is stopped, Z has ended ...
  std::uint64_t started = 0;  ///< clock ticks since boot
};

/// Nothing where there is no such process.
[[nodiscard]] std::optional<ProcessStatus> process_status(int process);

/// The state of the process that began then; X where it is gone.
[[nodiscard]] char state_of(int process, std::uint64_t started);
[[nodiscard]] constexpr bool has_ended(char state) { return state == 'X' || state == 'Z'; }
[[nodiscard]] constexpr bool is_stopped(char state) { return state == 'T' || state == 't'; }

/// A file descriptor that polls readable once the process has ended; -1 where the system has none.
[[nodiscard]] int open_process(int process);

}  // namespace tessera::train
