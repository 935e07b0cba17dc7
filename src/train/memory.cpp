// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/memory.hpp"

#include <algorithm>
#include <atomic>

#include "tessera/base/trace.hpp"
#include "tessera/comm/tree.hpp"
#include "tessera/kernels/attention.hpp"
#include "tessera/optim/gradient_norm.hpp"
#include "tessera/train/forecast.hpp"
#include "tessera/train/precision.hpp"
#include "tessera/train/sampler.hpp"
#include "tessera/train/stage_runner.hpp"
#include "tessera/train/state.hpp"

namespace tessera::train {

namespace {

/// The largest tree sums of a step keep as much again: over tp activations or, with sequence parallelism, the
/// gradients of replicated tensors, over dp gradient buckets, between the ends of a pipeline a tied table.
template <class T>
std::size_t tree_bytes(RunConfig const& config, Plan const& plan, model::Stage<T>& stage) {
  auto const gradients = stage.store().gradient_range().end;
  auto const replicated = stage.store().replicated_range().size();
  auto const& layout = plan.layout;
  std::int64_t const activation = plan.stage.tokens.rows() * config.model.hidden_size;
  std::int64_t const over_tp = plan.stage.sequence_parallel ? std::max(activation, replicated) : activation;
  std::int64_t const bucket = std::min(gradients, config.parallel.bucket_bytes / wide_bytes(config));
  auto const scratch = [&](int ranks, std::int64_t elements) {
    return ranks > 1 ? comm::tree_scratch_bytes(ranks, static_cast<std::size_t>(elements), wide_type(config))
                     : 0;
  };
  return (plan.tree_over_tp ? scratch(layout.tp, over_tp) : 0) +
         (plan.tree_over_dp ? scratch(layout.dp, bucket) : 0) +
         (plan.tree_over_tied && layout.pp > 1 && stage.tied_table()
              ? scratch(2, stage.store()[*stage.tied_table()].range.size())
              : 0);
}

/// The attention kernel's own scratch, which Kokkos keeps once it has been asked for.
template <class T>
std::size_t attention_bytes(RunConfig const& config, Plan const& plan) {
  auto const& block = plan.stage.block;
  return kernels::attention_scratch_bytes<Wide<T>>(
      {config.batch.micro_batch_size, config.batch.seq_length, block.heads_per_tile(), block.head_size()});
}

/// What an asynchronous save writes while training goes on.
std::size_t copy_bytes(RunConfig const& config, Plan const& plan,
                       std::vector<params::Parameter> const& parameters) {
  auto const& c = config.checkpoint;
  if (c.save.empty() || (c.synchronous && c.ranks_per_file == 1)) return 0;
  auto const own = element_count(saved_boxes(parameters, plan.layout, plan.place));
  int const node = config.parallel.ranks_per_node > 0 ? config.parallel.ranks_per_node : plan.layout.ranks();
  int const copies = std::min({c.ranks_per_file, node, plan.layout.ranks()});
  auto const bytes = static_cast<std::size_t>(own * copies * wide_bytes(config));
  return copies > 1 ? std::max(bytes, checkpoint::handing_over_bytes) : bytes;
}

std::size_t span_bytes(RunConfig const& config) {
  auto const spans = static_cast<std::size_t>(config.output.trace_spans);
  return config.output.trace.empty() ? 0 : TraceRecorder::bytes(spans);
}

/// What one more microbatch under way takes. Every slot takes the same, so a forecast need not make them all.
template <class T>
std::size_t slot_bytes(RunConfig const& config, Plan const& plan) {
  auto const activations_of = [&](int slots) {
    Arena parameters("", Arena::Mode::counting), activations("", Arena::Mode::counting);
    auto layout = plan.stage;
    layout.slots = slots;
    model::Stage<T> stage(config.model, plan.specs, layout, parameters, activations);
    return activations.used_bytes();
  };
  return plan.stage.slots > 1 ? activations_of(2) - activations_of(1) : 0;
}

template <class T>
std::vector<MemoryItem> count(RunConfig const& config, Plan const& plan) {
  Arena parameters("", Arena::Mode::counting), activations("", Arena::Mode::counting);
  Arena step("", Arena::Mode::counting), sampling("", Arena::Mode::counting);
  auto layout = plan.stage;
  layout.slots = 1;
  model::Stage<T> stage(config.model, plan.specs, layout, parameters, activations);
  TokenBuffers<T> const tokens(step, plan.stage, static_cast<int>(plan.layout.microbatches_per_replica));
  optim::SquaredSums<T> const sums(step, stage.store().gradient_range().end);
  if (config.sample.length > 0) {
    typename Sampler<T>::Memory const sampler(config, plan, stage, sampling);
  }
  return {{"parameters, gradients, moments", parameters.used_bytes()},
          {"activations", activations.used_bytes() +
                              slot_bytes<T>(config, plan) * static_cast<std::size_t>(plan.stage.slots - 1)},
          {"tokens, losses, norm", step.used_bytes()},
          {"sampling", sampling.used_bytes()},
          {"attention kernel", attention_bytes<T>(config, plan)},
          {"matrix products", kernels::matmul_scratch_bytes(config.parallel.matmul, dtype_of<T>)},
          {"tree sums", tree_bytes(config, plan, stage)},
          {checkpoint_copies, copy_bytes(config, plan, stage.store().parameters())},
          {trace_spans, span_bytes(config)}};
}

struct Meter {
  std::atomic<std::size_t> now{0}, peak{0}, allocations{0};
};
Meter meter;

void count_allocation(Kokkos_Profiling_SpaceHandle const, char const*, void const*,
                      std::uint64_t const bytes) {
  std::size_t const now = meter.now += bytes;
  std::size_t peak = meter.peak;
  while (peak < now && !meter.peak.compare_exchange_weak(peak, now)) {
  }
  ++meter.allocations;
}

void count_release(Kokkos_Profiling_SpaceHandle const, char const*, void const*, std::uint64_t const bytes) {
  meter.now -= bytes;
}

}  // namespace

std::size_t MemoryPrediction::total_bytes() const {
  std::size_t total = 0;
  for (auto const& item : items) total += item.bytes;
  return total;
}

std::size_t MemoryPrediction::bytes_of(std::string_view name) const {
  auto const found = std::ranges::find(items, name, &MemoryItem::name);
  return found == items.end() ? 0 : found->bytes;
}

MemoryPrediction predict_memory(RunConfig const& config, Plan const& plan) {
  return in_precision(config,
                      [&](auto zero) { return MemoryPrediction{count<decltype(zero)>(config, plan)}; });
}

AllocationMeter::AllocationMeter() {
  meter.now = meter.peak = meter.allocations = 0;
  Kokkos::Tools::Experimental::set_allocate_data_callback(count_allocation);
  Kokkos::Tools::Experimental::set_deallocate_data_callback(count_release);
}

AllocationMeter::~AllocationMeter() {
  Kokkos::Tools::Experimental::set_allocate_data_callback(nullptr);
  Kokkos::Tools::Experimental::set_deallocate_data_callback(nullptr);
}

void AllocationMeter::restart() noexcept {
  meter.peak = meter.now.load();
  meter.allocations = 0;
}
std::size_t AllocationMeter::peak_bytes() const noexcept { return meter.peak; }
std::size_t AllocationMeter::allocations() const noexcept { return meter.allocations; }

}  // namespace tessera::train
