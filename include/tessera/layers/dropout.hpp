// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tessera/kernels/dropout.hpp"
#include "tessera/layers/context.hpp"

namespace tessera::layers {

/// The dropout of one use in global layer `layer`, for the rows of the residual stream that this rank holds.
inline kernels::DropoutRows dropout_of_rows(Context const& context, double probability, RandomUse use,
                                            std::int64_t layer) {
  kernels::DropoutRows dropout;
  dropout.probability = static_cast<float>(context.dropout(probability));
  dropout.site = context.site(use, layer);
  dropout.first_sequence = context.first_sequence;
  dropout.first_position = context.tokens.first_position();
  dropout.batch = context.tokens.batch;
  dropout.total_positions = context.tokens.positions;
  return dropout;
}

}  // namespace tessera::layers
