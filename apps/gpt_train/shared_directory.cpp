// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "shared_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

#include "tessera/checkpoint/files.hpp"
#include "tessera/comm/collectives.hpp"

namespace gpt_train {

namespace {

/// Whether the file is there before the time is over.
bool appears(std::string const& path) {
  using Clock = std::chrono::steady_clock;
  for (auto const end = Clock::now() + std::chrono::seconds(10);;) {
    if (access(path.c_str(), F_OK) == 0) return true;
    if (Clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace

std::string not_shared(tessera::comm::Communicator& world, std::string const& directory) {
  namespace comm = tessera::comm;
  bool const first = world.rank() == 0;
  // A name that nobody has looked for before: what is not there is remembered for a while.
  auto const number = comm::broadcast_value(world, std::uint64_t{std::random_device{}()}, 0);
  auto const path = fmt::format("{}/.tessera-seen-{:08x}", directory, number);
  bool made = false;
  if (first) {
    tessera::checkpoint::Descriptor const file(
        open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    made = file.get() >= 0;
  }
  if (comm::broadcast_value(world, std::int32_t{made}, 0) == 0) return {};
  auto const sees = comm::all_gather_values(world, std::int32_t{first || appears(path)});
  if (first) unlink(path.c_str());
  auto const blind = std::ranges::count(sees, 0);
  if (blind == 0) return {};
  auto const rank = std::ranges::find(sees, 0) - sees.begin();
  return fmt::format("rank {}{} not see in it what rank 0 writes", rank,
                     blind == 1 ? " does" : fmt::format(" and {} more do", blind - 1));
}

}  // namespace gpt_train
