// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Signals that ask a run to save and leave: SIGUSR1, which schedulers send some time before the end of a job
// (`sbatch --signal=USR1@300`) and both mpirun forward to all ranks, and SIGTERM, after which Open MPI leaves
// its ranks about two seconds.
#pragma once

namespace tessera::train {

/// While one exists, the two signals no longer end the process but are remembered, for a trainer to ask about
/// once a step. The handler does nothing else, so a signal may come at any moment: in a collective, while
/// loading, while saving.
///
/// The same signal again, a second or more after the first, is meant: the process ends at once, as it would
/// without this class. (Sooner, it is the same request that came by two ways.) The other signal changes
/// nothing: a scheduler that has sent SIGUSR1 sends SIGTERM next, and a save under way had better end well.
///
/// Signals that were blocked are let through from now on: one that came before is remembered too. So whoever
/// starts the program with them blocked (`env --block-signal=USR1`) loses none.
///
/// One may exist at a time.
class SignalWatch {
 public:
  SignalWatch();
  SignalWatch(SignalWatch const&) = delete;
  SignalWatch& operator=(SignalWatch const&) = delete;
  /// Puts back what the signals did before, and forgets those that came.
  ~SignalWatch();

  /// The first signal that came, SIGUSR1 or SIGTERM; 0 if none did.
  [[nodiscard]] int first() const noexcept;
};

}  // namespace tessera::train
