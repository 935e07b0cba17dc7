// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Which Tessera this is. tessera/version.hpp has the same numbers for the preprocessor; these functions
// speak for the library that was linked, whatever headers the caller was compiled with.
#pragma once

#include <string_view>

namespace tessera {

/// "major.minor.patch". Before 1.0 a new minor number may change any interface.
[[nodiscard]] std::string_view version() noexcept;

/// What the results of this binary depend on beside its sources, one `name: value` a line without a last
/// newline: compiler, build type, target processor, sanitizers, Kokkos version and execution space.
[[nodiscard]] std::string_view build_options();

}  // namespace tessera
