// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/agreement.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <utility>

#include "tessera/comm/collectives.hpp"

namespace tessera::checkpoint {

std::optional<Failure> agree(comm::Communicator& world, std::optional<Failure> const& own) {
  int const first = comm::all_reduce_value(world, own ? world.rank() : world.size(), comm::Op::min);
  if (first == world.size()) return std::nullopt;
  int const code = own ? static_cast<int>(own->code) : 0;
  Failure common;
  common.code = static_cast<ExitCode>(comm::broadcast_value(world, code, first));
  common.message = broadcast_text(world, own ? own->message : "", first);
  bool const named = comm::broadcast_value(world, own && own->named ? 1 : 0, first) != 0;
  if (world.size() > 1 && !named) common.message = fmt::format("rank {}: {}", first, common.message);
  common.named = true;
  return common;
}

std::string broadcast_text(comm::Communicator& world, std::string text, int root) {
  text.resize(comm::broadcast_value(world, static_cast<std::uint64_t>(text.size()), root));
  std::span const bytes(reinterpret_cast<std::uint8_t*>(text.data()), text.size());
  comm::broadcast(world, bytes, root).wait_host();
  return text;
}

}  // namespace tessera::checkpoint
