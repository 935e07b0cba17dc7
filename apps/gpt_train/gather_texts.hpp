// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "tessera/comm/communicator.hpp"

namespace gpt_train {

/// Collective. The texts of all ranks, in rank order, on rank `root`; nothing on the others.
[[nodiscard]] std::vector<std::string> gather_texts(tessera::comm::Communicator& world,
                                                    std::string const& own, int root);

}  // namespace gpt_train
