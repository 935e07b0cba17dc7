// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/stage_runner.hpp"

#include "tessera/base/trace.hpp"

namespace tessera::train {

template <class T>
TokenBuffers<T>::TokenBuffers(Arena& arena, model::StageLayout const& layout, int count)
    : microbatches(count) {
  auto const rows = static_cast<std::size_t>(layout.tokens.rows());
  auto const slots = static_cast<std::size_t>(layout.slots);
  if (layout.is_first()) tokens = arena.matrix<std::int32_t>(slots, rows);
  if (!layout.is_last()) return;
  targets = arena.matrix<std::int32_t>(slots, rows);
  losses = arena.matrix<Wide<T>>(static_cast<std::size_t>(count), rows);
}

template <class T>
StageRunner<T>::StageRunner(model::Stage<T>& stage, layers::Context const& context, data::BatchLoader& loader,
                            params::ParameterHooks& hooks, TokenBuffers<T> const& buffers, bool reads_ahead)
    : stage_(&stage),
      context_(context),
      loader_(&loader),
      hooks_(&hooks),
      buffers_(buffers),
      host_tokens_("tessera::train::tokens",
                   tensors_on_host && !reads_ahead ? 1 : static_cast<std::size_t>(buffers.microbatches), 2,
                   static_cast<std::size_t>(context.tokens.rows())),
      host_losses_("tessera::train::losses", buffers.losses.extent(0), buffers.losses.extent(1)) {}

template <class T>
layers::Context StageRunner<T>::context_of(int microbatch) const {
  auto context = context_;
  context.mode = pass_.mode;
  context.step = static_cast<std::uint32_t>(pass_.step);
  context.first_sequence = (pass_.first_microbatch + microbatch) * context.tokens.batch;
  if (pass_.mode == layers::Mode::training) {
    context.target = params::gradient_target(stage_->layout().batch_tiles, microbatch);
  }
  return context;
}

template <class T>
Vector<Wide<T>> StageRunner<T>::losses_of(int microbatch) const {
  return slice(buffers_.losses, static_cast<std::size_t>(microbatch));
}

/// Of the tokens and then the targets. A copy to a device goes on while the next microbatches are read: each
/// has a place of its own.
template <class T>
std::int32_t* StageRunner<T>::host_place(int microbatch) const {
  auto const own = static_cast<std::size_t>(microbatch) % host_tokens_.extent(0);
  return host_tokens_.data() + own * 2 * host_tokens_.extent(2);
}

template <class T>
void StageRunner<T>::read(Pass const& pass, int microbatch) {
  auto const rows = host_tokens_.extent(2);
  auto* const place = host_place(microbatch);
  std::span<std::int32_t> const tokens(place, rows), targets(place + rows, rows);
  std::int64_t const global = pass.first_microbatch + microbatch;
  if (pass.mode == layers::Mode::training) {
    loader_->training_microbatch(pass.step, global, tokens, targets);
  } else {
    loader_->validation_microbatch(global, tokens, targets);
  }
}

template <class T>
void StageRunner<T>::read_tokens(Pass const& pass) {
  auto const& layout = stage_->layout();
  if (!layout.is_first() && !layout.is_last()) return;
  for (int microbatch = 0; microbatch < buffers_.microbatches; ++microbatch) read(pass, microbatch);
}

template <class T>
void StageRunner<T>::load(int microbatch) {
  auto const& layout = stage_->layout();
  if (!layout.is_first() && !layout.is_last()) return;
  if (!pass_.tokens_are_read) read(pass_, microbatch);
  using Host = Kokkos::View<std::int32_t const*, StagingSpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  auto const rows = host_tokens_.extent(2);
  auto const* const place = host_place(microbatch);
  auto const i = static_cast<std::size_t>(slot(microbatch));
  if (layout.is_first()) Kokkos::deep_copy(context_.exec, slice(buffers_.tokens, i), Host(place, rows));
  if (layout.is_last())
    Kokkos::deep_copy(context_.exec, slice(buffers_.targets, i), Host(place + rows, rows));
}

template <class T>
void StageRunner<T>::forward(int microbatch) {
  TraceSpan const span("forward", "compute", pass_.first_microbatch + microbatch);
  auto const context = context_of(microbatch);
  int const own = slot(microbatch);
  load(microbatch);
  auto const tokens = stage_->layout().is_first() ? slice(buffers_.tokens, static_cast<std::size_t>(own))
                                                  : Vector<std::int32_t>();
  stage_->forward(context, own, tokens, *hooks_);
  if (stage_->layout().is_last() && pass_.mode == layers::Mode::evaluation) {
    stage_->loss(context, own, slice(buffers_.targets, static_cast<std::size_t>(own)), losses_of(microbatch));
  }
}

template <class T>
void StageRunner<T>::backward(int microbatch) {
  TraceSpan const span("backward", "compute", pass_.first_microbatch + microbatch);
  auto const context = context_of(microbatch);
  int const own = slot(microbatch);
  auto const& layout = stage_->layout();
  if (layout.is_last()) {
    stage_->loss_and_gradient(context, own, slice(buffers_.targets, static_cast<std::size_t>(own)),
                              static_cast<Wide<T>>(pass_.loss_scale), losses_of(microbatch), *hooks_);
  }
  auto const tokens =
      layout.is_first() ? slice(buffers_.tokens, static_cast<std::size_t>(own)) : Vector<std::int32_t>();
  stage_->backward(context, own, tokens, *hooks_);
}

template <class T>
void StageRunner<T>::fetch_losses() const {
  Kokkos::deep_copy(context_.exec, host_losses_, buffers_.losses);
}

template <class T>
void StageRunner<T>::summed_losses(std::span<double> sums) const {
  for (std::size_t i = 0; i < sums.size(); ++i) {
    double sum = 0;
    for (std::size_t row = 0; row < host_losses_.extent(1); ++row)
      sum += static_cast<double>(host_losses_(i, row));
    sums[i] = sum;
  }
}

TESSERA_COMPUTE_TYPES(template struct, TokenBuffers)
TESSERA_COMPUTE_TYPES(template class, StageRunner)

}  // namespace tessera::train
