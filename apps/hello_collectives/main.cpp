// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The smallest program on the library: every rank says where it is, then the collectives are checked and
// timed.
//   mpirun -n 2 hello_collectives [backend: mpi or loopback]
#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <string_view>

#include "collective.hpp"
#include "tessera/base/error.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/comm/session.hpp"

namespace comm = tessera::comm;

static void print_places(comm::Communicator& world) {
  std::array<char, 64> host{};
  gethostname(host.data(), host.size() - 1);
  std::vector<std::uint8_t> const place(host.begin(), host.end());
  std::vector<std::uint8_t> places(place.size() * static_cast<std::size_t>(world.size()));
  comm::all_gather(world, place, places).wait_host();
  for (int rank = 0; world.rank() == 0 && rank < world.size(); ++rank) {
    auto const* const name =
        reinterpret_cast<char const*>(&places[static_cast<std::size_t>(rank) * place.size()]);
    fmt::print("rank {} of {} on {}\n", rank, world.size(), name);
  }
}

static bool print_table(comm::Communicator& world) {
  bool all_right = true;
  if (world.rank() == 0)
    fmt::print("{:15}{:>12}{:>12}{:>10}{:>10}\n", "", "bytes", "us", "alg GB/s", "bus GB/s");
  for (auto const& collective : hello::collectives()) {
    for (std::size_t const c : {1024, 262144, 1048576}) {
      auto const [right, seconds] = hello::measure(collective, world, c, 20);
      double const bytes = 4.0 * static_cast<double>(c) * world.size();
      double const rate = bytes / seconds * 1e-9;
      if (world.rank() == 0) {
        fmt::print("{:15}{:>12}{:>12.1f}{:>10.2f}{:>10.2f}  {}\n", collective.name, bytes, seconds * 1e6,
                   rate, rate * collective.bus_factor(world.size()), right ? "right" : "WRONG");
      }
      all_right = all_right && right;
    }
  }
  return all_right;
}

int main(int argc, char** argv) try {
  std::string_view const backend = argc > 1 ? argv[1] : "mpi";
  if (backend == "--help" || backend == "-h") {
    fmt::print("Usage: hello_collectives [mpi | loopback]      started by mpirun, or alone with loopback\n");
    return 0;
  }
  auto const session = comm::open_session(backend, argc, argv);
  Kokkos::ScopeGuard const kokkos(argc, argv);
  auto const world = session->world();
  if (auto const problem = comm::launcher_mismatch(world->size()))
    throw tessera::ConfigError({*problem}, tessera::ExitCode::usage);
  print_places(*world);
  return print_table(*world) ? 0 : static_cast<int>(tessera::ExitCode::internal);
} catch (tessera::Error const& error) {
  fmt::print(stderr, "hello_collectives: {}\n", error.what());
  return static_cast<int>(error.code());
}
