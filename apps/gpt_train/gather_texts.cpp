// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "gather_texts.hpp"

#include <cstdint>
#include <span>

#include "tessera/comm/collectives.hpp"

namespace gpt_train {

std::vector<std::string> gather_texts(tessera::comm::Communicator& world, std::string const& own, int root) {
  auto const sizes = all_gather_values(world, static_cast<std::uint64_t>(own.size()));
  auto const bytes = [](std::string& text) {
    return std::span(reinterpret_cast<std::uint8_t*>(text.data()), text.size());
  };
  if (world.rank() != root) {
    auto copy = own;
    send(world, bytes(copy), root).wait_host();
    return {};
  }
  std::vector<std::string> texts;
  for (int rank = 0; rank < world.size(); ++rank) {
    auto& text = texts.emplace_back(sizes[static_cast<std::size_t>(rank)], '\0');
    if (rank == root) {
      text = own;
    } else {
      receive(world, bytes(text), rank).wait_host();
    }
  }
  return texts;
}

}  // namespace gpt_train
