// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "findings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace gpt_train {

std::string findings_text(std::string const& heading, Findings const& findings, bool colour) {
  constexpr std::array<std::string_view, 3> words{"ok", "warn", "FAIL"};
  constexpr std::array<std::string_view, 3> colours{"\x1b[32m", "\x1b[33m", "\x1b[31m"};
  auto text = heading + "\n";
  for (auto const& finding : findings) {
    auto const verdict = static_cast<std::size_t>(finding.verdict);
    auto const padded = fmt::format("{:<4}", words[verdict]);
    text += fmt::format("  {}  {}\n", colour ? fmt::format("{}{}\x1b[0m", colours[verdict], padded) : padded,
                        finding.text);
    if (!finding.advice.empty()) text += fmt::format("        -> {}\n", finding.advice);
  }
  return text;
}

bool any_failed(Findings const& findings) {
  return std::ranges::any_of(findings, [](auto const& one) { return one.verdict == Verdict::fail; });
}

}  // namespace gpt_train
