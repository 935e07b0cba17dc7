// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tessera/base/philox.hpp"
#include "tessera/base/views.hpp"
#include "tessera/comm/communicator.hpp"
#include "tessera/kernels/matmul.hpp"
#include "tessera/layers/random_use.hpp"
#include "tessera/params/batch_tiles.hpp"
#include "tessera/params/tensor_spec.hpp"

namespace tessera::layers {

using params::TileRange;

/// The tokens of a microbatch and this rank's share of them. Rows are sequence-major, row s*B + b, so the
/// share of a rank under sequence parallelism (SP) is contiguous.
struct TokenShape {
  std::int64_t batch = 1;      ///< B
  std::int64_t positions = 1;  ///< S
  TileRange tiles;             ///< token tiles of S/T positions; all of them without SP

  /// S*B.
  [[nodiscard]] std::int64_t rows() const { return batch * positions; }
  /// Rows of the residual stream on this rank: S*B, under SP S/t*B.
  [[nodiscard]] std::int64_t local_rows() const { return rows() / tiles.total * tiles.count; }
  [[nodiscard]] std::int64_t first_position() const { return positions / tiles.total * tiles.first; }
};

enum class Mode { training, evaluation };

/// What a layer needs to know of the run and of the microbatch in hand. Borrowed parts outlive every call.
struct Context {
  ExecutionSpace exec;
  kernels::MatmulProvider const* matmul = nullptr;
  comm::Communicator* tp = nullptr;
  /// Every communicator with operations that may be under way while layers compute; see progress().
  std::span<comm::Communicator* const> background;
  bool sequence_parallel = false;
  TokenShape tokens;

  Mode mode = Mode::training;
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::int64_t first_sequence = 0;  ///< of this microbatch in the global batch
  params::GradientTarget target;    ///< where this microbatch's gradients go

  [[nodiscard]] StreamRef stream() const { return StreamRef(exec); }
  [[nodiscard]] RandomSite site(RandomUse use, std::int64_t layer) const {
    return RandomSite(seed, step, random_site(use, layer));
  }
  /// The probability in force: none in evaluation.
  [[nodiscard]] double dropout(double probability) const {
    return mode == Mode::training ? probability : 0.0;
  }
  /// Moves communication under way on. Called between the products of a layer.
  void progress() const {
    for (auto* communicator : background) communicator->progress();
  }
};

}  // namespace tessera::layers
