// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A directory of checkpoints, one directory per step:
//
//   step_00000100/                    a checkpoint, whole from the moment it has this name
//   step_00000200/
//   step_00000300.tmp-4711-0/         being written by job 4711; nobody reads it
//   step_00000200.damaged-1/          moved aside, for people to look at
//   latest                            "step_00000200": for people and scripts, trusted by nothing
//   lock                              who writes here; empty when nobody does
//
// Nothing here is collective.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::checkpoint {

inline constexpr std::string_view latest_name = "latest";
inline constexpr std::string_view lock_name = "lock";

/// "step_00000100": eight digits, more where the step has more.
[[nodiscard]] std::string step_name(std::int64_t step);

/// The reverse of step_name; nothing for any other name, `step_100` included.
[[nodiscard]] std::optional<std::int64_t> parse_step_name(std::string_view name) noexcept;

/// The steps that have a directory in `directory`, newest first, whole or not. Throws DataError: no_input
/// when there is no such directory, permission when it may not be read.
[[nodiscard]] std::vector<std::int64_t> list_steps(std::string const& directory);

/// The step that the checkpoint `path` is, if it lies in `directory`, however either is spelt.
[[nodiscard]] std::optional<std::int64_t> step_in(std::string const& directory, std::string const& path);

/// What a user means by a path: a checkpoint's directory itself (it has a manifest or a step's name), or a
/// directory of them. Returns the directories to try, newest first. Throws as list_steps does, and no_input
/// when there is no step.
[[nodiscard]] std::vector<std::string> candidates(std::string const& path);

}  // namespace tessera::checkpoint
