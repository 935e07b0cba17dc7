// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tessera::checkpoint {

/// "1, 2, 3". (GCC 12 warns of fmt::join.)
std::string join(std::span<std::int64_t const> numbers);
std::string join(std::span<std::string const> texts, std::string_view separator);

}  // namespace tessera::checkpoint
