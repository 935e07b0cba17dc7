// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/join.hpp"

namespace tessera::checkpoint {

std::string join(std::span<std::int64_t const> numbers) {
  std::string text;
  for (auto const number : numbers) text.append(text.empty() ? "" : ", ").append(std::to_string(number));
  return text;
}

std::string join(std::span<std::string const> texts, std::string_view separator) {
  std::string all;
  for (auto const& text : texts) all.append(&text == texts.data() ? "" : separator).append(text);
  return all;
}

}  // namespace tessera::checkpoint
