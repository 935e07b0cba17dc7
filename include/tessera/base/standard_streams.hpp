// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace tessera {

/// Opens /dev/null for each of standard input, output and error that the process was started without (`>&-`).
/// The next file that is opened would take its number otherwise, and what is printed would end up in that
/// file. Programs call it first of all, before threads.
void open_standard_streams() noexcept;

}  // namespace tessera
