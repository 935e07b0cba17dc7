// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>

#include "tessera/comm/communicator.hpp"

namespace tessera::comm {

/// Collective. `inner`, with every call compared before it is made: operation, count, type, how values are
/// combined, root, and number of the call. Ranks that differ all throw CommError before the call is made,
/// which names each group of ranks with the same call, the call and where the program makes it. Of a message
/// the receiver compares count and type with the sender's before it gives the message out.
///
/// It takes a second channel and a blocking exchange of some hundred bytes for each collective: for finding a
/// mistake, not for speed. A rank that makes no further call at all is not found by it but by a watchdog
/// (watched.hpp). `name` is the communicator's in messages, `rank` this process' own.
[[nodiscard]] std::unique_ptr<Communicator> make_checked(std::unique_ptr<Communicator> inner,
                                                         std::string_view name, int rank);

}  // namespace tessera::comm
