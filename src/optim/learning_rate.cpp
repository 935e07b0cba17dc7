// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/optim/learning_rate.hpp"

#include <cmath>
#include <numbers>

namespace tessera::optim {

double LearningRate::at(std::int64_t step) const {
  if (warmup_steps > 0 && step <= warmup_steps) {
    return maximum * static_cast<double>(step) / static_cast<double>(warmup_steps);
  }
  if (step >= decay_steps) return minimum;
  double const progress =
      static_cast<double>(step - warmup_steps) / static_cast<double>(decay_steps - warmup_steps);
  return minimum + 0.5 * (maximum - minimum) * (1.0 + std::cos(std::numbers::pi * progress));
}

}  // namespace tessera::optim
