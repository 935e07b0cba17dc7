// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/checkpoint/saver.hpp"

namespace tessera::checkpoint {

/// Throws ConfigError with all that is out of range.
void check(SaverOptions const& options);

}  // namespace tessera::checkpoint
