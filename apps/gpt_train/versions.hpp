// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace gpt_train {

/// What `gpt_train --version` prints: the program, then a `name: value` line for each thing that its results
/// or its starting depend on. Libraries answer for themselves, so it is what would run.
[[nodiscard]] std::string versions_text();

}  // namespace gpt_train
