// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>

#include "tessera/comm/call_board.hpp"
#include "tessera/comm/communicator.hpp"

namespace tessera::comm {

/// Collective. `inner`, with every call, and every wait for one, posted in the record of this process, which
/// outlives the result. Communicators split or duplicated from it are posted as channels of the same name. A
/// group of one rank, and communicators beyond the room of the record, are given back as they came.
/// `patience`: how many time-outs a wait in it may last, for communicators whose ranks wait for slow things,
/// such as file systems.
[[nodiscard]] std::unique_ptr<Communicator> make_watched(std::unique_ptr<Communicator> inner,
                                                         ProcessRecord& record, std::string_view name,
                                                         int patience = 1);

}  // namespace tessera::comm
