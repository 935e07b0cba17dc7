// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace tessera {

/// Opens /dev/null for each of standard input, output and error that the process was started without (`>&-`).
/// The next file that is opened would take its number otherwise, and what is printed would end up in that
/// file. Programs call it first of all, before threads.
void open_standard_streams() noexcept;

/// Writes out what standard output still holds. False where some of what was printed is lost, as on a full
/// disk; but not where it is a pipe: one whose reader has gone was asked for no more.
[[nodiscard]] bool flush_standard_output() noexcept;

}  // namespace tessera
