// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tessera/comm/call_board.hpp"

namespace tessera::comm {

/// "all_reduce (sum) 41 on tp: 1024 x f32, 4096 bytes, at src/model/block.cpp:68". `channel` is the name of
/// its communicator, `ranks` the size of its group.
[[nodiscard]] std::string call_text(PostedCall const& call, std::string_view channel, int ranks);

/// "rank 3", "ranks 0-2, 5". Sorts them.
[[nodiscard]] std::string ranks_text(std::vector<int> ranks);

}  // namespace tessera::comm
