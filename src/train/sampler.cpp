// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include "tessera/base/error.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/pipeline/generators.hpp"
#include "train/no_hooks.hpp"

namespace tessera::train {

namespace {

/// Draws from softmax(logits / temperature): the first token at which the cumulative sum, in order of token
/// id, passes `uniform` of the total. In float64 on the host of one rank, so every layout draws the same.
std::int32_t draw_token(std::span<double> logits, double temperature, double uniform) {
  auto const likeliest = std::max_element(logits.begin(), logits.end());
  if (temperature == 0) return static_cast<std::int32_t>(likeliest - logits.begin());
  double const largest = *likeliest;
  double total = 0;
  for (double& value : logits) total += value = std::exp((value - largest) / temperature);
  double left = uniform * total;
  for (std::size_t token = 0; token < logits.size(); ++token) {
    left -= logits[token];
    if (left < 0) return static_cast<std::int32_t>(token);
  }
  return static_cast<std::int32_t>(likeliest - logits.begin());
}

}  // namespace

template <class T>
Sampler<T>::Memory::Memory(RunConfig const& config, Plan const& plan, model::Stage<T> const& values,
                           Arena& arena)
    : stage(config.model, plan.specs, sampling_stage(plan), arena, arena, &values),
      tokens(arena.vector<std::int32_t>(static_cast<std::size_t>(config.batch.seq_length))),
      logits(arena.vector<T>(static_cast<std::size_t>(stage.padded_vocabulary()))) {}

template <class T>
Sampler<T>::Sampler(RunConfig const& config, Plan const& plan, model::Stage<T> const& stage,
                    layers::Context const& context, comm::Communicator& pp, pipeline::Channels channels,
                    Arena& arena, comm::DeviceWatchers const& devices)
    : memory_(config, plan, stage, arena),
      stage_(memory_.stage),
      context_(context),
      pp_(&pp),
      devices_(devices),
      executor_(plan.place.pp, channels, 1),
      schedule_(pipeline::forward_only(plan.layout.pp, 1)),
      vocabulary_(config.model.vocab_size),
      host_tokens_("tessera::train::tokens", memory_.tokens.extent(0)),
      host_logits_("tessera::train::logits", memory_.logits.extent(0)) {
  context_.tokens = stage_.layout().tokens;
  context_.mode = layers::Mode::evaluation;
}

template <class T>
void Sampler<T>::forward(int) {
  NoHooks hooks;
  stage_.forward(context_, 0, memory_.tokens, hooks);
}

template <class T>
void Sampler<T>::backward(int) {
  throw InternalError("a sampler has no backward pass");
}

template <class T>
Matrix<T> Sampler<T>::gradient(int) {
  throw InternalError("a sampler has no gradients");
}

template <class T>
std::int32_t Sampler<T>::draw(std::int64_t number, double temperature) const {
  RandomSite const site(context_.seed, static_cast<std::uint32_t>(number),
                        layers::random_site(layers::RandomUse::sample, 0));
  std::vector<double> logits(static_cast<std::size_t>(vocabulary_));
  std::copy_n(host_logits_.data(), logits.size(), logits.begin());
  return draw_token(logits, temperature, unit_interval(site.bits(0)));
}

template <class T>
std::int32_t Sampler<T>::next(std::vector<std::int32_t> const& text, std::int64_t number,
                              double temperature) {
  comm::DeviceWork const work(devices_);
  std::size_t const window = host_tokens_.extent(0);
  std::size_t const count = std::min(text.size(), window);
  std::fill_n(host_tokens_.data(), window, 0);
  std::copy_n(text.end() - static_cast<std::ptrdiff_t>(count), count, host_tokens_.data());
  Kokkos::deep_copy(context_.exec, memory_.tokens, host_tokens_);
  executor_.run(schedule_, *this, context_.stream());
  std::int32_t token = 0;
  if (stage_.layout().is_last()) {
    stage_.logits_at(context_, 0, static_cast<std::int64_t>(count) - 1, 0, memory_.logits);
    Kokkos::deep_copy(context_.exec, host_logits_, memory_.logits);
    work.fence(context_.exec);
    token = draw(number, temperature);
  }
  return comm::broadcast_value(*pp_, token, stage_.layout().stages - 1);
}

TESSERA_COMPUTE_TYPES(template class, Sampler)

}  // namespace tessera::train
