// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// support/parallel.hpp's groups for tests without a launcher: every size there is, on threads.
#include <gtest/gtest.h>

#include <string>

#include "support/parallel.hpp"
#include "support/threads/communicator.hpp"

namespace tessera::support {

void for_each_group(std::initializer_list<int> sizes, std::function<void(comm::Communicator&)> const& body) {
  for (int const ranks : sizes) {
    run_ranks_well(ranks, 0, [&](comm::Communicator& group) {
      SCOPED_TRACE("group of " + std::to_string(ranks) + ", rank " + std::to_string(group.rank()));
      body(group);
    });
  }
}

}  // namespace tessera::support
