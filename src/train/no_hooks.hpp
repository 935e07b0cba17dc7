// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/params/hooks.hpp"

namespace tessera::train {

/// For passes in which parameters are only read and are all there.
class NoHooks final : public params::ParameterHooks {
 public:
  void acquire(int, params::Pass) override {}
  void release(int, params::Pass) override {}
  void gradients_ready(params::Range, params::GradientTarget const&) override {}
};

}  // namespace tessera::train
