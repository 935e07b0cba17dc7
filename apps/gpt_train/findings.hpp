// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace gpt_train {

enum class Verdict { ok, warn, fail };

/// One line of `gpt_train doctor`.
struct Finding {
  Verdict verdict = Verdict::ok;
  std::string text;
  std::string advice{};  ///< what to do; empty when all is well
};

using Findings = std::vector<Finding>;

/// Lines "  ok    text" under a heading, the advice below; words in colour where `colour`.
[[nodiscard]] std::string findings_text(std::string const& heading, Findings const& findings, bool colour);

/// Whether one of them has failed.
[[nodiscard]] bool any_failed(Findings const& findings);

}  // namespace gpt_train
