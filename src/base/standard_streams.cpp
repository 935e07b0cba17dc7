// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/base/standard_streams.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace tessera {

void open_standard_streams() noexcept {
  // The system gives the lowest number that is free: one of these three, or else one too many.
  int descriptor = 0;
  while (descriptor >= 0 && descriptor <= STDERR_FILENO) descriptor = ::open("/dev/null", O_RDWR);
  if (descriptor > STDERR_FILENO) ::close(descriptor);
}

}  // namespace tessera
