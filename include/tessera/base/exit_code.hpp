// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace tessera {

/// What a process returns, the same from every rank and under every launcher (after BSD's sysexits.h).
enum class ExitCode : int {
  ok = 0,
  usage = 64,          ///< the command line is wrong
  data = 65,           ///< an input file is damaged or does not fit
  no_input = 66,       ///< an input file is missing
  internal = 70,       ///< a broken invariant of the program
  no_memory = 71,      ///< not enough memory, found before allocating or by the allocator
  cannot_create = 73,  ///< an output cannot be created
  io = 74,             ///< reading or writing failed half way
  requeue = 75,        ///< saved and left in good order: please run again
  hang = 76,           ///< a rank did not answer in time
  permission = 77,
  config = 78  ///< the configuration is wrong
};

}  // namespace tessera
