// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>

#include "tessera/checkpoint/box.hpp"

namespace tessera::checkpoint {

/// Nothing when the boxes of `sources` cover `box` exactly once, whatever they have outside; else what is
/// wrong, in coordinates of the box.
[[nodiscard]] std::optional<std::string> problem_of_sources(Box const& box,
                                                            std::span<ConstBoxMemory const> sources);

}  // namespace tessera::checkpoint
