// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/comm/communicator.hpp"

namespace tessera::support {

/// For the test main: what world() gives from now on.
void set_world(comm::Communicator* world);

}  // namespace tessera::support
