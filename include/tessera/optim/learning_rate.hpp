// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tessera::optim {

/// Linear warm-up from 0, half a cosine down to `minimum`, constant from then on (Loshchilov & Hutter,
/// "SGDR", 2017, without restarts).
struct LearningRate {
  double maximum = 1e-3;
  double minimum = 0;
  std::int64_t warmup_steps = 0;
  std::int64_t decay_steps = 0;  ///< where the minimum is reached, warm-up included

  /// The rate of update `step`, the first being 1: maximum * step / warmup_steps up to warmup_steps.
  [[nodiscard]] double at(std::int64_t step) const;
};

}  // namespace tessera::optim
