// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "display.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace gpt_train {

std::string clock_text(double seconds) {
  std::int64_t const whole = std::llround(seconds);
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string bar_text(double share, int width) {
  int const filled = std::clamp(static_cast<int>(share * width), 0, width);
  return fmt::format("[{:=<{}}{:<{}}]", "", filled, filled < width ? ">" : "", width - filled);
}

int terminal_columns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

std::string fitted(std::string text, int columns) {
  // The last column stays free: a terminal may break the line when it is written.
  if (columns > 1 && std::ssize(text) >= columns) text.resize(static_cast<std::size_t>(columns - 1));
  return text;
}

}  // namespace gpt_train
