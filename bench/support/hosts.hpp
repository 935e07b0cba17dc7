// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "tessera/comm/collectives.hpp"

namespace tessera::bench {

/// Collective. Names of the hosts that the ranks of `world` run on, by rank.
[[nodiscard]] inline std::vector<std::string> hosts_of(comm::Communicator& world) {
  std::array<char, 64> name{};
  gethostname(name.data(), name.size() - 1);
  std::vector<std::uint8_t> const own(name.begin(), name.end());
  std::vector<std::uint8_t> all(own.size() * static_cast<std::size_t>(world.size()));
  comm::all_gather(world, own, all).wait_host();
  std::vector<std::string> hosts;
  for (std::size_t at = 0; at < all.size(); at += own.size())
    hosts.emplace_back(reinterpret_cast<char const*>(&all[at]));
  return hosts;
}

[[nodiscard]] inline std::size_t different(std::vector<std::string> const& names) {
  return std::set<std::string>(names.begin(), names.end()).size();
}

}  // namespace tessera::bench
