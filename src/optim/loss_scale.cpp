// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/optim/loss_scale.hpp"

namespace tessera::optim {

void LossScale::updated() {
  if (!dynamic() || ++state_.clean_updates < options_.window) return;
  state_.clean_updates = 0;
  if (state_.scale < largest_loss_scale) state_.scale *= 2;
}

bool LossScale::overflowed() {
  if (!dynamic()) return false;
  state_.clean_updates = 0;
  if (state_.scale <= options_.minimum) return false;
  state_.scale /= 2;
  return true;
}

void LossScale::resume(LossScaleState const& state) {
  if (dynamic()) state_ = state;
}

}  // namespace tessera::optim
