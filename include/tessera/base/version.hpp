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

/// The level of instructions that this library was compiled for, of those that results may depend on:
/// "x86-64-v3", "x86-64-v4" ... whether it was asked for by name or is what the machine of the build has. On
/// other processors the name of their family.
[[nodiscard]] std::string_view instruction_level() noexcept;

/// What the results of this binary depend on beside its sources, one `name: value` a line without a last
/// newline: compiler, build type, target processor, sanitizers, Kokkos version and execution space.
[[nodiscard]] std::string_view build_options();

}  // namespace tessera
