// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/params/batch_tiles.hpp"
#include "tessera/params/parameter_store.hpp"

namespace tessera::params {

enum class Pass { forward, backward };

/// What model and pipeline tell whoever cares for parameters and gradients (data_parallel). That is how
/// gradient buckets start during the backward pass, and how parameters can be gathered just before their use,
/// without an include arrow from the model to data parallelism.
///
/// `block` is the number of a transformer layer in its stage; -1 is the embedding, the number of layers the
/// head.
class ParameterHooks {
 public:
  virtual ~ParameterHooks() = default;
  ParameterHooks() = default;
  ParameterHooks(ParameterHooks const&) = delete;
  ParameterHooks& operator=(ParameterHooks const&) = delete;

  /// Before and after the parameters of a block are read.
  virtual void acquire(int block, Pass pass) = 0;
  virtual void release(int block, Pass pass) = 0;
  /// The gradients in `range` have received the last microbatch of a batch tile, described by `target`.
  virtual void gradients_ready(Range range, GradientTarget const& target) = 0;
};

}  // namespace tessera::params
