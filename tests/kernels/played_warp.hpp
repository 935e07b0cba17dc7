// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The warps of a row kernel (warp_row_team.hpp), played on the host one after another.
#pragma once

#include "played_block.hpp"
#include "tessera/kernels/warp_row_team.hpp"

namespace tessera::kernels::test {

/// The Warp of a played thread.
class PlayedWarp {
 public:
  explicit PlayedWarp(PlayedThread const& thread) : thread_(thread) {}

  [[nodiscard]] int lane() const { return thread_.lane(); }
  template <class A>
  A exchanged(A const& value, int mask) const {
    return thread_.shuffle_xor(value, mask);
  }
  [[nodiscard]] unsigned where(bool condition) const {
    unsigned lanes = condition ? 1u << lane() : 0u;
    for (int mask = 1; mask < warp_lanes; mask *= 2) lanes |= thread_.shuffle_xor(lanes, mask);
    return lanes;
  }
  void synchronise() const { thread_.warp_barrier(); }

 private:
  PlayedThread thread_;
};

/// body(team, row) for `count` rows.
template <class Body>
void play_rows(std::ptrdiff_t count, Body const& body) {
  for (std::ptrdiff_t row = 0; row < count; ++row) {
    PlayedBlock* here = nullptr;
    PlayedBlock played(warp_lanes, 16, [&](int thread) {
      body(WarpRowTeam<PlayedWarp>(PlayedWarp(PlayedThread(*here, thread))), row);
    });
    here = &played;
    played.run();
  }
}

}  // namespace tessera::kernels::test
