// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Whether a configuration can run, said completely and before anything is allocated, and what follows from
// it. Nothing here is collective: every rank gets the same answer from the same arguments.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tessera/train/run_config.hpp"

namespace tessera::train {

/// Everything wrong with `config` on a job of `ranks` ranks, one sentence each; empty when it can run. A
/// sentence begins with the `section.key` it is about, gives the value, and says what would do. A rule that
/// combines several values is tried only when each of them is possible by itself, so one slip makes one
/// sentence.
///
/// The rules that tie values together:
/// - t p d = ranks; H divides D; L >= p; S <= positions; the microbatch times d divides the global batch.
/// - tiles auto: one tile a rank, T = t, so t divides H and F.
/// - explicit tiles (docs/numerics.md, rules 2, 3, 6): T, R, t and d are powers of two; T divides F and S;
///   T_H is the largest power of two <= T that divides H; t divides T_H and T; d | R | M.
/// - sequence parallelism: T divides S.
[[nodiscard]] std::vector<std::string> problems(RunConfig const& config, int ranks);

/// What a configuration leaves open, derived. Letters as in README.md.
struct Layout {
  int tp = 1;                                 ///< t
  int pp = 1;                                 ///< p
  int dp = 1;                                 ///< d
  bool explicit_tiles = false;                ///< same bits on every layout, against one tile a rank
  int tiles = 1;                              ///< T, of F, V and the token rows
  int head_tiles = 1;                         ///< T_H, of the heads
  int batch_tiles = 1;                        ///< R
  std::int64_t microbatches = 1;              ///< M, of one step over all replicas
  std::int64_t microbatches_per_replica = 1;  ///< M / d
  std::int64_t ffn_hidden_size = 0;           ///< F
  std::int64_t padded_vocab_size = 0;         ///< V rounded up to a multiple of T; padding is only memory
  std::int64_t decay_steps = 0;               ///< where the learning rate reaches min_lr
  std::vector<std::int64_t>
      stage_layers;  ///< (p) layers of each stage; earlier stages take what does not divide

  [[nodiscard]] int ranks() const { return tp * pp * dp; }
};

/// The layout of `config` on `ranks` ranks. Throws ConfigError with all of problems().
[[nodiscard]] Layout resolve(RunConfig const& config, int ranks);

/// T_H: the largest power of two that is at most `tiles` and divides `heads`.
[[nodiscard]] int head_tile_count(int tiles, std::int64_t heads);

}  // namespace tessera::train
