// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/comm/call_text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tessera::comm {

namespace {

/// The path from the folder on that stands at the top of a source tree.
std::string_view in_tree(std::string_view path) {
  std::size_t begin = 0;
  for (std::string_view const top : {"/src/", "/include/", "/apps/", "/backends/", "/tests/", "/bench/"}) {
    if (auto const place = path.rfind(top); place != path.npos) begin = std::max(begin, place + 1);
  }
  return path.substr(begin);
}

std::string partner_text(Call const& call) {
  if (call.peer < 0) return "";
  switch (call.operation) {
    case Operation::send: return fmt::format(" to its rank {}", call.peer);
    case Operation::receive: return fmt::format(" from its rank {}", call.peer);
    default: return fmt::format(" from its rank {}", call.peer);
  }
}

}  // namespace

std::string call_text(PostedCall const& posted, std::string_view channel, int ranks) {
  auto const& call = posted.call;
  auto const how = combines(call.operation) ? fmt::format(" ({})", to_string(call.op)) : "";
  auto text = fmt::format("{}{} {} on {}{}", to_string(call.operation), how, posted.number, channel,
                          partner_text(call));
  if (call.operation != Operation::barrier) {
    text += fmt::format(": {} x {}, {} bytes", call.count, to_string(call.type), payload_bytes(call, ranks));
  }
  if (posted.line != 0) text += fmt::format(", at {}:{}", in_tree(posted.file.data()), posted.line);
  return text;
}

std::string ranks_text(std::vector<int> ranks) {
  std::ranges::sort(ranks);
  std::string text;
  for (std::size_t i = 0; i < ranks.size();) {
    std::size_t last = i;
    while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1) ++last;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", ranks[i]);
    if (last > i) text += fmt::format("{}{}", last == i + 1 ? ", " : "-", ranks[last]);
    i = last + 1;
  }
  return (ranks.size() == 1 ? "rank " : "ranks ") + text;
}

}  // namespace tessera::comm
