// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "agreement.hpp"
#include "tessera/checkpoint/fault_point.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/data/tokenizer.hpp"
#include "tessera/train/state.hpp"
#include "text.hpp"

namespace gpt_train {

namespace train = tessera::train;
namespace comm = tessera::comm;
using tessera::ExitCode;

namespace {

std::string token_list(std::vector<std::int32_t> const& tokens) {
  std::string text;
  for (auto const token : tokens) text += fmt::format("{} ", token);
  return text;
}

std::optional<std::int64_t> resumed_at(Beginning const& beginning) {
  return beginning.resumed ? std::optional(beginning.step()) : std::nullopt;
}

std::string mllog_path(train::RunConfig const& config, Console const& console) {
  return console.speaks() && config.output.mllog != standard_output ? config.output.mllog : "";
}

Mllog::Write mllog_writer(train::RunConfig const& config, Console& console, LineFile& file) {
  if (!console.speaks() || config.output.mllog.empty()) return {};
  if (config.output.mllog == standard_output)
    return [&console](std::string const& text) { console.line(text); };
  return [&file](std::string const& text) { file.write(text); };
}

/// Elements of the tensors that this rank keeps, without what aligns their tiles.
template <class T>
double stored_parameters(tessera::params::ParameterStore<T> const& store) {
  std::int64_t elements = 0;
  for (auto const& parameter : store.parameters()) {
    if (parameter.role != tessera::params::Role::tied_gradient)
      elements += parameter.spec.tile_size() * parameter.tiles.count;
  }
  return static_cast<double>(elements);
}

/// Who watches what the devices wait for. On hosts nobody: work has ended when its call returns.
comm::DeviceWatchers device_watchers(Setup& setup) {
  if (tessera::tensors_on_host) return {};
  return {setup.watchdog ? &setup.watchdog->record() : nullptr, setup.devices.get()};
}

OverRanks over_ranks(comm::Communicator& world, double own) {
  double const sum = all_reduce_value(world, own, comm::Op::sum);
  return {sum / world.size(), all_reduce_value(world, own, comm::Op::max)};
}

}  // namespace

template <class T>
Run<T>::Run(train::RunConfig const& config, Setup& setup, Console& console, double peak_flops)
    : config_(config),
      setup_(setup),
      console_(console),
      efficiency_{tessera::model::flops_per_token(config.model, config.batch.seq_length), peak_flops},
      progress_(console, config.training.steps, config.training.log_interval, efficiency_),
      peak_flops_(peak_flops),
      metrics_("output.metrics", console.speaks() ? config.output.metrics : "", resumed_at(setup.beginning)),
      mllog_file_("output.mllog", mllog_path(config, console), resumed_at(setup.beginning)),
      mllog_(mllog_writer(config, console, mllog_file_), config.batch.global_batch_size),
      trainer_(config, setup.plan,
               {&*setup.mesh, &setup.ledger, setup.telemetry.get(), setup.inputs.matmul.get(),
                &*setup.inputs.dataset, [this] { return saving_ ? static_cast<int>(saving_->wish()) : 0; },
                config.parallel.cuda_graph ? &tessera::make_stream_graph : nullptr, device_watchers(setup)}) {
  auto& beginning = setup_.beginning;
  if (!beginning.loader) return;
  train::restore(trainer_, *beginning.loader);
  beginning.loader.reset();
}

template <class T>
void Run<T>::prepare_saving() {
  if (!setup_.beginning.saver) return;
  saving_.emplace(
      config_.checkpoint, std::move(setup_.beginning.saver),
      [this] { return train::make_snapshot(trainer_); }, *setup_.signals, setup_.start, console_, metrics_);
}

template <class T>
void Run<T>::begin() {
  auto& world = setup_.mesh->world();
  RunFacts const facts{setup_.nodes,
                       trainer_.steps_done(),
                       setup_.inputs.matmul->name(),
                       peak_flops_,
                       over_ranks(world, stored_parameters(trainer_.stage().store())),
                       over_ranks(world, static_cast<double>(setup_.memory.total_bytes())),
                       setup_.inputs.dataset->training_samples()};
  metrics_.write(begin_event(config_, setup_.plan.layout, facts));
  mllog_.begin(config_, setup_.plan.layout, facts);
  mllog_.run_start(facts.begins_at);
}

template <class T>
ExitCode Run<T>::run(TraceFile& trace, train::AllocationMeter const& meter) {
  begin();
  ExitCode code = ExitCode::ok;
  bool const has_begun = trainer_.steps_done() > 0;
  if (has_begun && trainer_.steps_done() >= config_.training.steps) code = keep_beginning();
  for (auto step = trainer_.steps_done() + 1; step <= config_.training.steps && code == ExitCode::ok; ++step)
    code = make_step(step).value_or(ExitCode::ok);
  mllog_.run_stop(trainer_.steps_done(), code == ExitCode::ok);
  RunResult result;
  if (code == ExitCode::ok || code == ExitCode::requeue) {
    if (code == ExitCode::ok) sample();
    trace.stop();
    result = finish(meter);
    trace.write(*setup_.mesh);
  }
  result.code = static_cast<int>(code);
  metrics_.write(end_event(result));
  int const lost = metrics_.lost() || mllog_file_.lost() || console_.lost() || trace.lost() ? 1 : 0;
  bool const any = broadcast_value(setup_.mesh->world(), lost, 0) > 0;
  return code == ExitCode::ok && any ? ExitCode::io : code;
}

template <class T>
ExitCode Run<T>::keep_beginning() {
  console_.line("nothing to train: the checkpoint is at step {}, training.steps = {}", trainer_.steps_done(),
                config_.training.steps);
  if (!saving_ || setup_.beginning.resumed) return ExitCode::ok;
  train::StepReport report;
  report.step = trainer_.steps_done();
  return saving_->after_step(report, true).value_or(ExitCode::ok);
}

template <class T>
std::optional<double> Run<T>::validate(std::int64_t step) {
  bool const last = step == config_.training.steps;
  auto const interval = config_.training.eval_interval;
  if (interval <= 0 || (step % interval != 0 && !last)) return std::nullopt;
  mllog_.eval_start(step);
  double const loss = trainer_.validate();
  mllog_.eval_stop(step, loss, last);
  return loss;
}

template <class T>
std::optional<ExitCode> Run<T>::make_step(std::int64_t step) {
  tessera::checkpoint::fault_point("train.step");
  if (tessera::checkpoint::fault_errs("train.call")) barrier(setup_.mesh->world());
  if (tessera::checkpoint::fault_errs("train.order")) barrier(setup_.mesh->dp_buckets());
  auto const position = trainer_.state().position;
  auto report = trainer_.step();
  if (saving_) report.save_blocked_s = saving_->take_blocked_s();
  last_ = report;
  tell_epoch(position);
  bool const last = step == config_.training.steps;
  auto const validation = validate(step);
  progress_.step(report);
  if (validation) progress_.validation(step, *validation);
  metrics_.write(train::metrics_line(report, efficiency_, validation ? &*validation : nullptr));
  if (report.skipped && !report.overflowed && config_.training.on_nonfinite != "skip") {
    if (saving_) saving_->end_earlier();
    if (console_.speaks()) {
      print_failure(
          {ExitCode::internal,
           {fmt::format("loss or gradient of step {} is not finite; the weights are those before it. Lower "
                        "optimizer.lr, or set training.on_nonfinite = \"skip\" to leave such steps out",
                        step)}});
    }
    return ExitCode::internal;
  }
  return saving_ ? saving_->after_step(report, last) : std::nullopt;
}

template <class T>
void Run<T>::tell_epoch(std::int64_t position) {
  auto const samples = setup_.inputs.dataset->training_samples();
  auto const epoch = (trainer_.state().position - 1) / samples;
  if (epoch == std::max<std::int64_t>(position - 1, 0) / samples) return;
  console_.line("epoch {} begins in step {}", epoch + 1, last_.step);
  metrics_.write(fmt::format(R"({{"event":"epoch","begins_in_step":{},"epoch":{}}})", last_.step, epoch + 1));
}

template <class T>
void Run<T>::sample() {
  if (config_.sample.length == 0) return;
  tessera::data::ByteTokenizer const tokenizer;
  auto const text = trainer_.sample(tokenizer.encode(config_.sample.prompt), config_.sample.length,
                                    config_.sample.temperature);
  bool const is_bytes = config_.model.vocab_size <= tessera::data::ByteTokenizer::vocab_size();
  console_.line("sample:\n{}\n",
                is_bytes ? tessera::data::printable(tokenizer.decode(text)) : token_list(text));
}

template <class T>
RunResult Run<T>::finish(train::AllocationMeter const& meter) {
  std::uint64_t const hash = trainer_.weights_hash();
  auto& world = setup_.mesh->world();
  auto const predicted = static_cast<double>(setup_.largest_bytes);
  // The copies of a save and the spans of a timeline are no Kokkos views; the spans are what was predicted.
  auto const own =
      meter.peak_bytes() + (saving_ ? saving_->copy_bytes() : 0) + setup_.memory.bytes_of(train::trace_spans);
  auto const used = static_cast<double>(all_reduce_value(world, own, comm::Op::max));
  auto const resident =
      static_cast<double>(all_reduce_value(world, train::peak_resident_bytes(), comm::Op::max));
  console_.line("model FLOP/s: {:.1f}% of the {} peak", 100 * progress_.mfu(), peak_origin(config_.output));
  console_.line("communication of the last step, all ranks: {}", traffic_text(last_));
  console_.line("peak memory per rank: {} of {} predicted ({:.1f}%); resident set {}", bytes_text(used),
                bytes_text(predicted), 100 * used / predicted, bytes_text(resident));
  console_.line("Weights: {:016x}", hash);
  console_.line("Figure of Merit (FOM): {:.3f} tokens/s", progress_.tokens_per_s());
  return {0, hash, progress_.tokens_per_s(), used};
}

TESSERA_COMPUTE_TYPES(template class, Run)

}  // namespace gpt_train
