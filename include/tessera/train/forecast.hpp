// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// How much one training step says to whom, in closed form: the parallel algebra of docs/parallelism.md
// counted without running it. `--dry-run` prints it for any layout, and a test compares it with the ledger of
// a recording communicator (comm/recorded.hpp), whose conventions it follows:
//
// - calls and bytes are those of one rank of a stage; all ranks of a stage have the same;
// - bytes are payload: count * element size for all_reduce, broadcast, send and receive; for all_gather and
//   reduce_scatter the whole of what is gathered or scattered;
// - an axis of one rank is silent.
//
// Per microbatch over the whole model, over tp: 4L + 2 large all-reduces, or under sequence parallelism (SP)
// 6L + 2 all-gathers and 4L + 2 reduce-scatters of the same size (Korthikanti et al., "Reducing Activation
// Recomputation in Large Transformer Models", 2022, plus the gathers of inputs kept as shards), and 3 small
// all-reduces of the cross entropy. With bf16 and fp16 the sums are float32, the gathers not. That is one
// gather less than the 6L + 3 of Megatron-LM: the output head makes its loss and its gradient in one go
// (layers/vocab_head.hpp), so the input it gathered for the logits is still there for the weight gradient.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tessera/train/run_config.hpp"
#include "tessera/train/validation.hpp"

namespace tessera::train {

/// One kind of message of one part of the model in one step.
struct Traffic {
  std::string_view axis;       ///< tp, pp, dp, tied (first and last stage) or world
  std::string_view operation;  ///< a name of comm::Communicator: all_reduce, all_gather, send ...
  std::string_view part;       ///< what of the step it belongs to
  std::int64_t calls = 0;
  std::int64_t bytes = 0;

  bool operator==(Traffic const&) const = default;
};

/// Elements of the flat gradient store of one rank of a stage, alignment of tiles included.
struct GradientElements {
  std::int64_t replicated = 0;  ///< norms, biases of row linears, positions: the same on every tp rank
  std::int64_t cut = 0;         ///< this rank's tiles
  std::int64_t tied_role = 0;   ///< the output head's gradient of the tied embedding, a gradient of its own

  [[nodiscard]] std::int64_t total() const { return replicated + cut + tied_role; }
};

/// What a rank of pipeline stage `stage` (0 .. p-1) stores.
[[nodiscard]] GradientElements gradient_elements(RunConfig const& config, Layout const& layout, int stage);

// The parts of a step, each for a rank of `stage`. Rows without calls are left out.

/// Blocks, embedding and output head, over tp: every microbatch, forward and backward.
[[nodiscard]] std::vector<Traffic> layer_traffic(RunConfig const& config, Layout const& layout, int stage);
/// Maximum, sum of exponentials and target logit of every token, over tp: last stage, every microbatch.
[[nodiscard]] std::vector<Traffic> cross_entropy_traffic(RunConfig const& config, Layout const& layout,
                                                         int stage);
/// Under SP the gradients of replicated parameters are summed over tp, packed into one call a batch tile.
[[nodiscard]] std::vector<Traffic> replicated_gradient_traffic(RunConfig const& config, Layout const& layout,
                                                               int stage);
/// Activations to the next stage and their gradients back: one message a microbatch and border each way;
/// under SP a rank sends its shard.
[[nodiscard]] std::vector<Traffic> pipeline_traffic(RunConfig const& config, Layout const& layout, int stage);
/// Gradient buckets over dp, cut from the end of the store at multiples of 4,096 elements: once a step.
[[nodiscard]] std::vector<Traffic> bucket_traffic(RunConfig const& config, Layout const& layout, int stage);
/// The two roles of the tied embedding are added between the first and the last stage, on the axis "tied":
/// once a step.
[[nodiscard]] std::vector<Traffic> tied_embedding_traffic(RunConfig const& config, Layout const& layout,
                                                          int stage);
/// Loss (a double a microbatch) and gradient norm (a double a tile of each tensor), one call over all ranks:
/// once a step, small.
[[nodiscard]] std::vector<Traffic> bookkeeping_traffic(RunConfig const& config, Layout const& layout,
                                                       int stage);

/// All parts of a training step, in the order above.
[[nodiscard]] std::vector<Traffic> step_traffic(RunConfig const& config, Layout const& layout, int stage);

/// The sum over parts: one row for each (axis, operation), in order of first appearance, `part` empty.
[[nodiscard]] std::vector<Traffic> totals(std::vector<Traffic> const& traffic);

/// Bytes of one element of activations and their gradients.
[[nodiscard]] std::int64_t compute_bytes(RunConfig const& config);
/// Bytes of one element of parameters and their gradients, and of sums over tiles.
[[nodiscard]] std::int64_t wide_bytes(RunConfig const& config);

}  // namespace tessera::train
