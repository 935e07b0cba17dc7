// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "choice.hpp"

namespace tessera::cublas {

std::size_t choose(std::span<Candidate const> candidates, int family, double results) {
  std::size_t first = candidates.size();
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].family != family) continue;
    if (results <= alternating_tile * candidates[i].waves) return i;
    if (first == candidates.size()) first = i;
  }
  return first < candidates.size() ? first : 0;
}

bool leaves_half_idle(double waves) { return waves > 0 && waves <= 0.5; }

}  // namespace tessera::cublas
