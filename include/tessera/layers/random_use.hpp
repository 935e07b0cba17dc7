// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tessera::layers {

/// Every place that draws random numbers while a model runs. A site is one of these for one global layer, so
/// that no two draws share numbers and no layout changes them (docs/numerics.md, rule 13).
enum class RandomUse : std::uint32_t {
  initialise,         ///< layer = index of the tensor in the canonical order
  embedding_dropout,  ///< layer = 0
  attention_dropout,
  attention_output_dropout,
  mlp_output_dropout,
  sample  ///< layer = 0, step = number of the generated token
};

inline constexpr std::uint32_t random_uses = 16;

constexpr std::uint32_t random_site(RandomUse use, std::int64_t layer) {
  return static_cast<std::uint32_t>(layer) * random_uses + static_cast<std::uint32_t>(use);
}

}  // namespace tessera::layers
