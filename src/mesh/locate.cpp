// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "locate.hpp"

#include <sched.h>

#include <fstream>
#include <string>

#include "tessera/comm/collectives.hpp"

namespace tessera::mesh {

namespace {

/// The processor package that holds all cores this process may run on, or -1.
int socket_of_this_process() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return -1;
  int found = -1;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/physical_package_id");
    int package = -1;
    if (!(file >> package) || package < 0 || (found >= 0 && package != found)) return -1;
    found = package;
  }
  return found;
}

}  // namespace

std::vector<Location> locate(comm::Communicator& world, int ranks_per_node) {
  if (ranks_per_node > 0) return locations_by_hand(world.size(), ranks_per_node);
  auto const node = world.split_by_node();
  int const lowest = comm::all_reduce_value(*node, world.rank(), comm::Op::min);
  auto const nodes = comm::all_gather_values(world, lowest);
  auto const sockets = comm::all_gather_values(world, socket_of_this_process());
  std::vector<Location> locations(nodes.size());
  for (std::size_t rank = 0; rank < locations.size(); ++rank) locations[rank] = {nodes[rank], sockets[rank]};
  return locations;
}

}  // namespace tessera::mesh
