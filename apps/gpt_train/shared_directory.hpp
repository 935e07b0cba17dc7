// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "tessera/comm/communicator.hpp"

namespace gpt_train {

/// Collective. Makes a small file in `directory` on rank 0, which is taken away again, and looks for it on
/// all ranks, for up to ten seconds: file systems of a network may show it late. Says which ranks do not see
/// it: "rank 2 and 3 more do not see in it what rank 0 writes", the same on all ranks; empty where all do, or
/// where rank 0 cannot write.
[[nodiscard]] std::string not_shared(tessera::comm::Communicator& world, std::string const& directory);

}  // namespace gpt_train
