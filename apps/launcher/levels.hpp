// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The choice between the programs that a portable build has, one for each instruction-set level. It is made
// before any of them starts, by code that every x86-64 processor can run.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace launcher {

/// Something a processor has or lacks. `index` is glibc's number of it (sys/platform/x86.h).
struct Feature {
  char const* name;
  unsigned index;
};

/// A variable of the environment that holds a matrix-product library to a level: such libraries look at the
/// processor by themselves, and what they choose fixes bits (docs/packages.md).
struct Setting {
  char const* name;
  char const* value;
};

/// A level of the x86-64 ABI. A processor is of a level when it has the features of this one and of those
/// below.
struct Level {
  std::string_view name;
  std::vector<Feature> features;
  std::vector<Setting> settings;
};

/// True if the processor and the operating system support a feature. Tests hand in their own.
using HasFeature = std::function<bool(Feature const&)>;

/// Of this machine. What GLIBC_TUNABLES (glibc.cpu.hwcaps=-AVX2) hides does not count.
[[nodiscard]] bool machine_has(Feature const& feature);

/// x86-64-v3 and x86-64-v4: the levels that a portable build may be made of, the lowest first.
[[nodiscard]] std::span<Level const> known_levels();

/// Which level to start, or why none.
struct Choice {
  Level const* level = nullptr;
  std::string problem;  ///< empty if and only if there is a level
};

/// The highest level of `built` (names, the lowest first) that the processor has, or the one that `wanted`
/// names, with or without "x86-64-". An empty `wanted` wishes nothing.
[[nodiscard]] Choice choose(std::span<std::string_view const> built, std::string_view wanted,
                            HasFeature const& has_feature);

}  // namespace launcher
