// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/train/trainer.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <numeric>
#include <tuple>
#include <utility>

#include "tessera/base/trace.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/pipeline/generators.hpp"
#include "tessera/train/precision.hpp"
#include "tessera/train/weights_hash.hpp"

namespace tessera::train {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// `times_` of Trainer: three times, then calls and bytes by axis.
constexpr std::size_t time_count = 3;

optim::LossScaleOptions loss_scale_options(RunConfig const& config) {
  if (auto const scale = loss_scale_of(config); scale > 0) return {.initial = scale};
  auto const& dynamic = config.optimizer;
  return {dynamic.initial_loss_scale, dynamic.min_loss_scale, dynamic.loss_scale_window};
}

}  // namespace

template <class T>
Trainer<T>::Trainer(RunConfig const& config, Plan plan, Surroundings const& surroundings)
    : config_(config),
      plan_(std::move(plan)),
      around_(surroundings),
      channels_{&surroundings.mesh->pp_forward(), &surroundings.mesh->pp_backward()},
      parameters_("tessera::train::parameters"),
      activations_("tessera::train::activations"),
      buffers_("tessera::train::buffers"),
      sampling_("tessera::train::sampling"),
      loader_(*surroundings.dataset, config.batch.global_batch_size, config.batch.micro_batch_size),
      executor_(plan_.place.pp, channels_, plan_.stage.slots),
      training_(training_schedule(config, plan_)),
      evaluation_(pipeline::forward_only(
          plan_.layout.pp, static_cast<int>(plan_.layout.microbatches_per_replica), plan_.place.pp)),
      optimiser_({config.optimizer.beta1, config.optimizer.beta2, config.optimizer.epsilon,
                  config.optimizer.weight_decay}),
      learning_rate_{config.optimizer.lr, config.optimizer.min_lr, config.optimizer.warmup_steps,
                     plan_.layout.decay_steps},
      loss_scale_(loss_scale_options(config)),
      sums_(static_cast<std::size_t>(plan_.layout.microbatches + slot_count(plan_.specs))),
      times_(time_count + 2 * reported_axes.size()) {
  auto& mesh = *around_.mesh;
  stage_ =
      std::make_unique<model::Stage<T>>(config_.model, plan_.specs, plan_.stage, parameters_, activations_);
  stage_->initialise(exec_, static_cast<std::uint64_t>(config_.training.seed));
  squared_sums_.emplace(buffers_, stage_->store().gradient_range().end);
  reducer_.emplace(
      stage_->store(), exec_, mesh.dp_buckets(),
      data_parallel::Tie{stage_->tied_table(), stage_->tied_gradient(), mesh.tied()},
      data_parallel::ReducerOptions{config_.parallel.bucket_bytes, config_.parallel.overlap_grad_reduce});
  background_ = {&mesh.tp(), &mesh.dp_buckets()};
  TokenBuffers<T> const tokens(buffers_, plan_.stage,
                               static_cast<int>(plan_.layout.microbatches_per_replica));
  if (around_.graph) graph_.emplace(around_.graph());
  runner_.emplace(*stage_, make_context(), loader_, *reducer_, tokens, graph_.has_value());
}

template <class T>
layers::Context Trainer<T>::make_context() {
  layers::Context context;
  context.exec = exec_;
  context.matmul = around_.matmul;
  context.tp = &around_.mesh->tp();
  context.background = background_;
  context.sequence_parallel = plan_.stage.sequence_parallel;
  context.tokens = plan_.stage.tokens;
  context.seed = static_cast<std::uint64_t>(config_.training.seed);
  return context;
}

template <class T>
void Trainer<T>::run(pipeline::Schedule const& schedule, Pass const& pass) {
  runner_->begin(pass);
  executor_.run(schedule, *runner_, StreamRef(exec_));
}

template <class T>
params::ReducedGradients<T> Trainer<T>::make_gradients(Pass pass) {
  auto const passes = [this](Pass const& of_step) {
    run(training_, of_step);
    return reducer_->finish(params::LocalGradients<T>(stage_->store()));
  };
  if (!graph_) return passes(pass);
  pass.tokens_are_read = true;
  runner_->read_tokens(pass);
  bool const draws = config_.model.hidden_dropout > 0 || config_.model.attention_dropout > 0;
  graph_->run(exec_, {pass.loss_scale, draws ? pass.step : 0},
              [passes, pass] { std::ignore = passes(pass); });
  return reducer_->finished();
}

template <class T>
void Trainer<T>::add_losses(std::span<double> losses) const {
  if (!has_losses()) return;
  runner_->summed_losses(losses.subspan(static_cast<std::size_t>(plan_.first_microbatch),
                                        static_cast<std::size_t>(plan_.layout.microbatches_per_replica)));
}

template <class T>
void Trainer<T>::complete_sums() {
  all_reduce_in_place(around_.mesh->world(), sums_, comm::Op::sum).wait_host();
}

template <class T>
StepReport Trainer<T>::step() {
  TraceSpan const span("step", "train", step_ + 1);
  auto const start = Clock::now();
  around_.ledger->reset();
  comm::DeviceWork const work(around_.devices);
  StepReport report;
  report.step = step_ + 1;
  report.tokens = plan_.tokens_per_step();
  report.learning_rate = learning_rate_.at(step_ + 1);
  report.loss_scale = loss_scale_.factor();

  auto gradients = make_gradients({layers::Mode::training, step_, plan_.first_microbatch,
                                   report.loss_scale / static_cast<double>(report.tokens)});
  if (plan_.place.dp == 0) squared_sums_->start(exec_, gradients);
  if (has_losses()) runner_->fetch_losses();
  work.fence(exec_);  // the only one of a step

  std::ranges::fill(sums_, 0.0);
  auto const microbatches = static_cast<std::size_t>(plan_.layout.microbatches);
  std::span<double> const losses(sums_.data(), microbatches);
  std::span<double> const squares(sums_.data() + microbatches, sums_.size() - microbatches);
  add_losses(losses);
  if (plan_.place.dp == 0) squared_sums_->finish(gradients, counts_for_tp(), squares);
  complete_sums();
  report.loss = std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(report.tokens);
  report.grad_norm = optim::global_norm(squares) / report.loss_scale;
  update(std::move(gradients), report);
  ++step_;
  measure(report, seconds_since(start));
  return report;
}

template <class T>
void Trainer<T>::update(params::ReducedGradients<T>&& gradients, StepReport& report) {
  report.skipped = !std::isfinite(report.loss) || !std::isfinite(report.grad_norm);
  if (report.skipped) {
    report.overflowed = std::isfinite(report.loss) && loss_scale_.overflowed();
    return;
  }
  TraceSpan const span("update", "compute");
  double const scale = optim::clip_scale(report.grad_norm, config_.optimizer.clip_grad);
  optimiser_.update(exec_, std::move(gradients), report.learning_rate, scale / report.loss_scale, ++updates_);
  loss_scale_.updated();
}

template <class T>
void Trainer<T>::measure(StepReport& report, double step_s) {
  auto const total = around_.ledger->sum();
  times_[0] = total.exposed_s;
  times_[1] = executor_.waited_s();
  times_[2] = total.in_flight_s;
  for (std::size_t i = 0; i < reported_axes.size(); ++i) {
    auto const axis = around_.ledger->totals(reported_axes[i]).sum();
    times_[time_count + 2 * i] = static_cast<double>(axis.calls);
    times_[time_count + 2 * i + 1] = static_cast<double>(axis.bytes);
  }
  auto& telemetry = *around_.telemetry;
  std::array<double, 2> largest{step_s, around_.wish ? static_cast<double>(around_.wish()) : 0.0};
  all_reduce_in_place(telemetry, largest, comm::Op::max).wait_host();
  report.step_s = largest[0];
  report.wish = static_cast<int>(largest[1]);
  all_reduce_in_place(telemetry, times_, comm::Op::sum).wait_host();
  double const ranks = telemetry.size();
  report.exposed_comm_s = times_[0] / ranks;
  report.bubble_s = times_[1] / ranks;
  report.comm_s = times_[2] / ranks;
  for (std::size_t i = 0; i < reported_axes.size(); ++i) {
    report.traffic[i] = {times_[time_count + 2 * i], times_[time_count + 2 * i + 1]};
  }
}

template <class T>
void Trainer<T>::resume(TrainingState const& state) {
  step_ = state.step;
  updates_ = state.updates;
  loss_scale_.resume(state.loss_scale);
  loader_.resume(state.step, state.position);
}

template <class T>
double Trainer<T>::validate() {
  TraceSpan const span("validate", "train", step_);
  double total = 0;
  auto const microbatches = plan_.layout.microbatches;
  for (std::int64_t batch = 0; batch < config_.training.eval_batches; ++batch) {
    comm::DeviceWork const work(around_.devices);
    run(evaluation_, {layers::Mode::evaluation, step_, batch * microbatches + plan_.first_microbatch, 0});
    std::ranges::fill(sums_, 0.0);
    std::span<double> const losses(sums_.data(), static_cast<std::size_t>(microbatches));
    if (has_losses()) runner_->fetch_losses();
    work.fence(exec_);
    add_losses(losses);
    complete_sums();
    total = std::accumulate(losses.begin(), losses.end(), total);
  }
  return total / static_cast<double>(plan_.tokens_per_step() * config_.training.eval_batches);
}

template <class T>
std::vector<std::int32_t> Trainer<T>::sample(std::vector<std::int32_t> const& prompt, std::int64_t length,
                                             double temperature) {
  if (!sampler_) {
    sampler_.emplace(config_, plan_, *stage_, make_context(), around_.mesh->pp(), channels_, sampling_,
                     around_.devices);
  }
  auto text = prompt;
  for (std::int64_t i = 0; i < length; ++i) text.push_back(sampler_->next(text, i, temperature));
  return text;
}

template <class T>
std::uint64_t Trainer<T>::weights_hash() {
  std::uint64_t const own =
      plan_.place.dp == 0 ? local_weights_hash<T>(exec_, stage_->store(), counts_for_tp()) : 0;
  return all_reduce_value(around_.mesh->world(), own, comm::Op::sum);
}

TESSERA_COMPUTE_TYPES(template class, Trainer)

}  // namespace tessera::train
