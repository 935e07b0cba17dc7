// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "tessera/layers/vocab_embedding.hpp"
#include "tessera/layers/vocab_head.hpp"
#include "tessera/model/block.hpp"
#include "tessera/params/gradients.hpp"
#include "tessera/params/hooks.hpp"

namespace tessera::model {

/// Which part of the model a rank computes, and how it is cut.
struct StageLayout {
  int stage = 0, stages = 1;     ///< place in the pipeline
  std::int64_t first_layer = 0;  ///< global number of the stage's first layer
  std::int64_t layers = 0;       ///< layers of this stage
  layers::BlockShape block;
  layers::TileRange vocabulary_tiles;
  layers::TokenShape tokens;
  bool sequence_parallel = false;
  params::BatchTiles batch_tiles;
  int slots = 1;  ///< microbatches that are alive at once (pipeline::slots)
  bool training = true;

  [[nodiscard]] bool is_first() const { return stage == 0; }
  [[nodiscard]] bool is_last() const { return stage == stages - 1; }
};

/// The layers of one pipeline stage on one rank, with their parameters and the memory of their activations.
/// The first stage also has the embedding, the last one the final norm and the head.
///
/// A microbatch under way owns a slot: its saved activations and the buffers that cross to the neighbouring
/// stages.
template <class T>
class Stage {
 public:
  /// Takes all memory from `parameters` and `activations`; over counting arenas this is the memory
  /// prediction. `specs` is the canonical list of the model. With `values_of` the stage reads that stage's
  /// parameters, which must outlive it, and takes none of its own.
  Stage(ModelConfig const& config, std::vector<params::TensorSpec> const& specs, StageLayout const& layout,
        Arena& parameters, Arena& activations, Stage const* values_of = nullptr);
  Stage(Stage const&) = delete;  // its layers point into its store
  Stage& operator=(Stage const&) = delete;

  /// Initial weights from Philox numbers of their global index: the same model on every layout.
  void initialise(ExecutionSpace const& exec, std::uint64_t seed);

  /// Makes the weights in the compute type anew, after the values of the store have changed.
  void round_weights(ExecutionSpace const& exec);

  /// First stage: looks `tokens` (S*B) up. Then, on all: runs the blocks from input(slot) to output(slot).
  /// Collective over tp.
  void forward(layers::Context const& context, int slot, Vector<std::int32_t const> tokens,
               params::ParameterHooks& hooks);
  /// Last stage, training: the loss of each token (S*B) from output(slot), and the gradient of `scale` times
  /// their sum in gradient(slot). The head's forward and backward happen here, so that one microbatch's
  /// logits suffice.
  void loss_and_gradient(layers::Context const& context, int slot, Vector<std::int32_t const> targets,
                         Wide<T> scale, Vector<Wide<T>> loss, params::ParameterHooks& hooks);
  /// Turns gradient(slot) from that of the output into that of the input; adds to the parameters' gradients,
  /// and completes them within the stage after the last microbatch of a batch tile. Collective over tp.
  void backward(layers::Context const& context, int slot, Vector<std::int32_t const> tokens,
                params::ParameterHooks& hooks);
  /// Last stage, evaluation: the loss of each token (S*B) from output(slot). Collective over tp.
  void loss(layers::Context const& context, int slot, Vector<std::int32_t const> targets,
            Vector<Wide<T>> loss);
  /// Last stage: all V logits of position `position` of sequence `sequence` of the microbatch, on every rank
  /// of tp, in `logits` (padded V). Collective over tp.
  void logits_at(layers::Context const& context, int slot, std::int64_t position, std::int64_t sequence,
                 Vector<T> logits);

  /// This rank's rows of the residual stream before the first block: (S*B, D), under SP (S/t*B, D).
  [[nodiscard]] Matrix<T> input(int slot) const { return slot_at(slot).input.value; }
  /// The same after the last block.
  [[nodiscard]] Matrix<T> output(int slot) const;
  /// The gradient that backward works on in place.
  [[nodiscard]] Matrix<T> gradient(int slot) const { return slot_at(slot).gradient.value; }

  [[nodiscard]] params::ParameterStore<T>& store() noexcept { return store_; }
  [[nodiscard]] StageLayout const& layout() const noexcept { return layout_; }
  /// The embedding's token table on the first stage, its copy on the last one of several: what is tied.
  [[nodiscard]] std::optional<params::ParameterId> tied_table() const { return table_; }
  /// The gradient of the head's role where the same stage holds the embedding.
  [[nodiscard]] std::optional<params::ParameterId> tied_gradient() const { return tied_gradient_; }
  /// Padded V.
  [[nodiscard]] std::int64_t padded_vocabulary() const { return padded_vocabulary_; }

 private:
  struct Slot {
    layers::Residual<T> input, gradient;
    std::vector<BlockSaved<T>> blocks;
    layers::NormSaved<T> final_norm;
    layers::Residual<T> normed;
  };

  [[nodiscard]] Slot const& slot_at(int slot) const { return slots_[static_cast<std::size_t>(slot)]; }
  [[nodiscard]] layers::Residual<T> block_input(Slot const& slot, std::size_t block) const;
  void make_head(std::vector<params::TensorSpec> const& specs, ModelConfig const& config);
  void take_memory(Arena& activations);
  void complete_replicated_gradients(layers::Context const& context, params::ParameterHooks& hooks);

  StageLayout layout_;
  params::ParameterStore<T> store_;
  std::optional<layers::VocabEmbedding<T>> embedding_;
  std::vector<Block<T>> blocks_;
  std::optional<layers::Norm<T>> final_norm_;
  std::optional<layers::VocabHead<T>> head_;
  std::optional<params::ParameterId> table_, tied_gradient_;
  std::int64_t padded_vocabulary_ = 0;

  std::vector<Slot> slots_;
  layers::Scratch<T> scratch_;
  layers::HeadScratch<T> head_scratch_;
  Matrix<T> row_;         ///< (1, D): the row whose logits are asked for
  Matrix<T> row_logits_;  ///< (tiles, V/T)
};

TESSERA_COMPUTE_TYPES(extern template class, Stage)

}  // namespace tessera::model
