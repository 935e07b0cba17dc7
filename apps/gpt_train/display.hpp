// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace gpt_train {

/// "0:41", "1:02:03".
[[nodiscard]] std::string clock_text(double seconds);
/// "[=====>     ]" with `width` places inside; `share` of them, between 0 and 1, are done.
[[nodiscard]] std::string bar_text(double share, int width);
/// Columns of the terminal that standard output is; 0 where it is none or does not say.
[[nodiscard]] int terminal_columns();
/// `text` as far as it fits into `columns`, so that a line shown over another never breaks; 0: all of it.
[[nodiscard]] std::string fitted(std::string text, int columns);

}  // namespace gpt_train
