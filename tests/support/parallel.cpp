// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "parallel.hpp"

#include <gtest/gtest.h>

#include "world.hpp"

namespace tessera::support {

namespace {
comm::Communicator* current_world = nullptr;
}  // namespace

comm::Communicator& world() { return *current_world; }
void set_world(comm::Communicator* world) { current_world = world; }

std::unique_ptr<comm::Communicator> group_of(int ranks) {
  auto& all = world();
  int const group = all.rank() / ranks;
  bool const complete = (group + 1) * ranks <= all.size();
  return all.split(complete ? std::optional(group) : std::nullopt, all.rank());
}

void for_each_group(std::initializer_list<int> sizes, std::function<void(comm::Communicator&)> const& body) {
  for (int const ranks : sizes) {
    if (ranks > world().size()) continue;
    SCOPED_TRACE("group of " + std::to_string(ranks));
    if (auto const group = group_of(ranks)) body(*group);
  }
}

}  // namespace tessera::support
