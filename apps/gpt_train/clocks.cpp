// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "clocks.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <span>

#include "tessera/checkpoint/hash.hpp"
#include "tessera/comm/collectives.hpp"

namespace gpt_train {

namespace comm = tessera::comm;

namespace {

constexpr int exchanges = 32;

/// Rank 0's side: asks `peer` for its time, and tells it what came out.
void ask(comm::Communicator& world, int peer, std::function<double()> const& clock) {
  ClockOffset best{0, 1e30};
  for (int i = 0; i < exchanges; ++i) {
    double theirs = 0;
    double const before = clock();
    send(world, std::span(&before, 1), peer).wait_host();
    receive(world, std::span(&theirs, 1), peer).wait_host();
    double const after = clock();
    double const half = (after - before) / 2;
    if (half < best.error_s) best = {before + half - theirs, half};
  }
  std::array<double, 2> const told{best.offset_s, best.error_s};
  send(world, std::span(told), peer).wait_host();
}

ClockOffset answer(comm::Communicator& world, std::function<double()> const& clock) {
  for (int i = 0; i < exchanges; ++i) {
    double asked = 0;
    receive(world, std::span(&asked, 1), 0).wait_host();
    double const now = clock();
    send(world, std::span(&now, 1), 0).wait_host();
  }
  std::array<double, 2> told{};
  receive(world, std::span(told), 0).wait_host();
  return {told[0], told[1]};
}

}  // namespace

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::chrono::steady_clock::time_point moment_of(double seconds) {
  using Clock = std::chrono::steady_clock;
  return Clock::time_point(
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds)));
}

ClockOffset clock_offset(comm::Communicator& world, std::string const& boot,
                         std::function<double()> const& clock) {
  auto const boots = all_gather_values(world, tessera::checkpoint::hash_of(boot).low);
  auto const first_of = [&](std::uint64_t hash) {
    return static_cast<int>(std::ranges::find(boots, hash) - boots.begin());
  };
  ClockOffset own;
  if (world.rank() == 0) {
    for (int peer = 1; peer < world.size(); ++peer) {
      if (first_of(boots[static_cast<std::size_t>(peer)]) == peer) ask(world, peer, clock);
    }
  } else if (first_of(boots[static_cast<std::size_t>(world.rank())]) == world.rank()) {
    own = answer(world, clock);
  }
  auto const leader = static_cast<std::size_t>(first_of(boots[static_cast<std::size_t>(world.rank())]));
  auto const offsets = all_gather_values(world, own.offset_s);
  auto const errors = all_gather_values(world, own.error_s);
  return {offsets[leader], errors[leader]};
}

ClockOffset clock_offset(comm::Communicator& world) {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  return clock_offset(world, boot, &steady_seconds);
}

}  // namespace gpt_train
