// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/model/stage.hpp"

#include "tessera/comm/collectives.hpp"
#include "tessera/kernels/initialise.hpp"
#include "tessera/kernels/tree.hpp"
#include "tessera/model/specs.hpp"

namespace tessera::model {

using layers::Context;
using layers::Residual;
using params::Pass;

template <class T>
Stage<T>::Stage(ModelConfig const& config, std::vector<params::TensorSpec> const& specs,
                StageLayout const& layout, Arena& parameters, Arena& activations, Stage const* values_of)
    : layout_(layout) {
  if (layout_.is_first()) {
    embedding_.emplace(store_, specs, embedding_specs, layout_.vocabulary_tiles, config.hidden_dropout);
    table_ = embedding_->table();
  }
  for (std::int64_t i = 0; i < layout_.layers; ++i) {
    blocks_.emplace_back(store_, specs, config, layout_.block, layout_.first_layer + i);
  }
  if (layout_.is_last()) make_head(specs, config);
  if (values_of != nullptr) {
    store_.borrow_values(values_of->store_);
  } else {
    store_.allocate(parameters, layout_.batch_tiles.levels(), layout_.tokens.tiles.count);
  }
  take_memory(activations);
}

template <class T>
void Stage<T>::make_head(std::vector<params::TensorSpec> const& specs, ModelConfig const& config) {
  final_norm_.emplace(store_, specs, block_specs(config.layers), config.layer_norm_epsilon);
  auto const& table = specs[embedding_specs];
  if (table_) {
    tied_gradient_ = store_.add(table, layout_.vocabulary_tiles, params::Role::tied_gradient);
    head_.emplace(store_, *table_, *tied_gradient_);
  } else {
    table_ = store_.add(table, layout_.vocabulary_tiles, params::Role::tied_copy);
    head_.emplace(store_, *table_, *table_);
  }
  padded_vocabulary_ = table.padded_cut;
}

template <class T>
void Stage<T>::take_memory(Arena& arena) {
  auto const& tokens = layout_.tokens;
  auto const rows = static_cast<std::size_t>(tokens.local_rows());
  auto const d = static_cast<std::size_t>(layout_.block.hidden_size);
  slots_.resize(static_cast<std::size_t>(layout_.slots));
  for (auto& slot : slots_) {
    slot.input.value = arena.matrix<T>(rows, d);
    if (layout_.training) slot.gradient.value = arena.matrix<T>(rows, d);
    for (std::int64_t i = 0; i < layout_.layers; ++i) slot.blocks.emplace_back(arena, tokens, layout_.block);
    if (!head_) continue;
    slot.final_norm = layers::NormSaved<T>(arena, tokens);
    slot.normed.value = arena.matrix<T>(rows, d);
  }
  scratch_ = layers::Scratch<T>(arena, tokens, layout_.block, layout_.sequence_parallel, layout_.training);
  if (!head_) return;
  head_scratch_ =
      layers::HeadScratch<T>(arena, tokens, layout_.block.hidden_size, head_->tiles(), head_->tile_rows());
  row_ = arena.matrix<T>(1, d);
  row_logits_ = arena.matrix<T>(static_cast<std::size_t>(head_->tiles().count),
                                static_cast<std::size_t>(head_->tile_rows()));
}

template <class T>
void Stage<T>::initialise(ExecutionSpace const& exec, std::uint64_t seed) {
  auto const& parameters = store_.parameters();
  for (params::ParameterId id = 0; id < static_cast<params::ParameterId>(parameters.size()); ++id) {
    auto const& parameter = store_[id];
    if (parameter.role == params::Role::tied_gradient) continue;
    auto const& spec = parameter.spec;
    RandomSite const site(seed, 0, layers::random_site(layers::RandomUse::initialise, spec.index));
    for (int tile = 0; tile < parameter.tiles.count; ++tile) {
      auto const elements = params::elements_of_tile(spec, parameter.tiles.first + tile);
      kernels::initialise_normal<Wide<T>>(
          exec, store_.value(id, tile),
          {elements.first, elements.outer, elements.stride, elements.run, elements.valid_run}, site,
          spec.initialisation.mean, spec.initialisation.stddev);
    }
  }
  round_weights(exec);
}

template <class T>
void Stage<T>::round_weights(ExecutionSpace const& exec) {
  if constexpr (!std::is_same_v<T, Wide<T>>) kernels::round<T>(exec, store_.values(), store_.weights());
}

template <class T>
Residual<T> Stage<T>::block_input(Slot const& slot, std::size_t block) const {
  return block == 0 ? slot.input : slot.blocks[block - 1].output;
}

template <class T>
Matrix<T> Stage<T>::output(int slot) const {
  return block_input(slot_at(slot), blocks_.size()).value;
}

template <class T>
void Stage<T>::forward(Context const& context, int slot_index, Vector<std::int32_t const> tokens,
                       params::ParameterHooks& hooks) {
  auto const& slot = slot_at(slot_index);
  if (embedding_) {
    hooks.acquire(-1, Pass::forward);
    embedding_->forward(context, tokens, slot.input, scratch_);
    hooks.release(-1, Pass::forward);
  }
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    hooks.acquire(static_cast<int>(i), Pass::forward);
    blocks_[i].forward(context, block_input(slot, i), slot.blocks[i], scratch_);
    hooks.release(static_cast<int>(i), Pass::forward);
  }
}

template <class T>
void Stage<T>::loss_and_gradient(Context const& context, int slot_index, Vector<std::int32_t const> targets,
                                 Wide<T> scale, Vector<Wide<T>> loss, params::ParameterHooks& hooks) {
  auto const& slot = slot_at(slot_index);
  Residual<T> const x{output(slot_index)};
  int const block = static_cast<int>(blocks_.size());
  hooks.acquire(block, Pass::backward);
  final_norm_->forward(context, x, slot.normed, slot.final_norm);
  auto const dnormed =
      head_->loss_and_gradient(context, slot.normed, targets, scale, loss, scratch_, head_scratch_)
          .wait(context);
  final_norm_->backward(context, dnormed, x, slot.final_norm, slot.gradient, false);
  hooks.release(block, Pass::backward);
  if (context.target.last) hooks.gradients_ready(head_->range(), context.target);
}

template <class T>
void Stage<T>::backward(Context const& context, int slot_index, Vector<std::int32_t const> tokens,
                        params::ParameterHooks& hooks) {
  auto const& slot = slot_at(slot_index);
  for (std::size_t i = blocks_.size(); i-- > 0;) {
    hooks.acquire(static_cast<int>(i), Pass::backward);
    blocks_[i].backward(context, slot.gradient, block_input(slot, i), slot.blocks[i], scratch_);
    hooks.release(static_cast<int>(i), Pass::backward);
    if (context.target.last) hooks.gradients_ready(blocks_[i].range(), context.target);
  }
  if (embedding_) {
    hooks.acquire(-1, Pass::backward);
    embedding_->backward(context, tokens, slot.gradient, scratch_);
    hooks.release(-1, Pass::backward);
    if (context.target.last) hooks.gradients_ready(embedding_->range(), context.target);
  }
  if (context.target.last) complete_replicated_gradients(context, hooks);
}

template <class T>
void Stage<T>::complete_replicated_gradients(Context const& context, params::ParameterHooks& hooks) {
  int const level = context.target.level;
  auto const& parameters = store_.parameters();
  for (params::ParameterId id = 0; id < static_cast<params::ParameterId>(parameters.size()); ++id) {
    auto const completion = store_[id].spec.completion;
    auto const gradient = store_.gradient(id, 0, level);
    if (completion == params::Completion::token_tiles) {
      kernels::tree_sum<Wide<T>>(context.exec, store_.partial_gradient(id), gradient);
    } else if (completion == params::Completion::token_rows) {
      // A sum over ranks adds zeros to each row and turns -0 into +0; without ranks to sum over, so must we.
      kernels::add_positive_zero<Wide<T>>(context.exec, gradient);
    }
  }
  auto const range = store_.replicated_range();
  if (context.sequence_parallel) {
    Vector<Wide<T>> const packed(store_.gradients(level).data() + range.begin,
                                 static_cast<std::size_t>(range.size()));
    all_reduce_in_place(*context.tp, packed, comm::Op::sum, context.stream()).wait(context.stream());
  }
  hooks.gradients_ready(range, context.target);
}

template <class T>
void Stage<T>::loss(Context const& context, int slot_index, Vector<std::int32_t const> targets,
                    Vector<Wide<T>> loss) {
  auto const& slot = slot_at(slot_index);
  final_norm_->forward(context, {output(slot_index)}, slot.normed, slot.final_norm);
  head_->loss(context, slot.normed, targets, loss, scratch_, head_scratch_);
}

template <class T>
void Stage<T>::logits_at(Context const& context, int slot_index, std::int64_t position, std::int64_t sequence,
                         Vector<T> logits) {
  auto const& slot = slot_at(slot_index);
  auto const& tokens = context.tokens;
  final_norm_->forward(context, {output(slot_index)}, slot.normed, slot.final_norm);
  // Without SP every rank has the row; with it, the rank whose positions hold it.
  std::int64_t const positions = tokens.local_rows() / tokens.batch;
  std::int64_t const local = position - tokens.first_position();
  if (local >= 0 && local < positions) {
    auto const row = slice(slot.normed.value, static_cast<std::size_t>(local * tokens.batch + sequence));
    kernels::copy<T>(context.exec, row, flat(row_));
  }
  if (context.sequence_parallel) {
    broadcast(*context.tp, row_, static_cast<int>(position / positions), context.stream())
        .wait(context.stream());
  }
  head_->logits_of_row(context, row_, row_logits_);
  all_gather(*context.tp, row_logits_, logits, context.stream()).wait(context.stream());
}

TESSERA_COMPUTE_TYPES(template class, Stage)

}  // namespace tessera::model
