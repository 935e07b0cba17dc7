// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "training.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agreement.hpp"
#include "console.hpp"
#include "outputs.hpp"
#include "progress.hpp"
#include "tessera/base/version.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/data/tokenizer.hpp"
#include "tessera/train/memory.hpp"
#include "tessera/train/peak.hpp"
#include "tessera/train/room_options.hpp"
#include "tessera/train/trainer.hpp"
#include "text.hpp"

namespace gpt_train {

namespace train = tessera::train;
namespace comm = tessera::comm;
using tessera::ExitCode;

namespace {

/// What a run stands on, made before any large allocation. Members that hold communicators are made
/// collectively.
struct Setup {
  comm::Ledger ledger;
  std::optional<tessera::mesh::Mesh> mesh;
  std::unique_ptr<comm::Communicator> telemetry;
  Inputs inputs;
  train::Plan plan;
  train::MemoryPrediction memory;
  std::size_t available_bytes = 0;  ///< to a rank of this node
  std::size_t largest_bytes = 0;    ///< prediction for the rank that needs most
};

void make_mesh(Setup& setup, comm::Session& session, train::RunConfig const& config,
               train::Layout const& layout) {
  setup.mesh.emplace(session.world(), tessera::mesh::MeshShape{layout.tp, layout.pp, layout.dp},
                     train::mesh_options(config), setup.ledger);
  setup.telemetry = session.world();
  auto const& place = setup.mesh->coordinates();
  setup.plan = train::make_plan(config, layout, {place.tp, place.pp, place.dp});
}

/// Throws unless every rank of this node gets what it will need.
void check_memory(Setup& setup, train::RunConfig const& config, int ranks_on_node) {
  setup.memory = train::predict_memory(config, setup.plan);
  setup.available_bytes = train::available_bytes(ranks_on_node);
  std::size_t const needs = setup.memory.total_bytes(), has = setup.available_bytes;
  if (has == 0 || needs <= has) return;
  throw tessera::MemoryError(fmt::format(
      "not enough memory: a rank needs {} and has {} ({} ranks share this node). Use more ranks (tp, pp), a "
      "smaller "
      "batch.micro_batch_size or batch.seq_length; --dry-run shows the parts",
      bytes_text(static_cast<double>(needs)), bytes_text(static_cast<double>(has)), ranks_on_node));
}

void print_header(Console& console, Setup const& setup, train::RunConfig const& config, double peak_flops) {
  int const ranks = setup.mesh->size();
  console.line("Tessera {}: gpt_train on {} rank{}", tessera::version(), ranks, ranks == 1 ? "" : "s");
  console.line(setup.mesh->map());
  console.line(model_text(config));
  console.line(batch_text(config, setup.plan.layout));
  console.line("data: {}", setup.inputs.dataset->description());
  console.line("matrix products: {}, {:.1f} GFLOP/s measured on all ranks", setup.inputs.matmul->name(),
               peak_flops * 1e-9);
  console.line(memory_text(setup.memory));
  if (ranks > 1) {
    console.line("memory of the rank that needs most: {}",
                 bytes_text(static_cast<double>(setup.largest_bytes)));
  }
  if (auto const advice = advice_text(config, *setup.mesh, setup.available_bytes); !advice.empty())
    console.line(advice);
}

template <class T>
class Run {
 public:
  Run(train::RunConfig const& config, Setup& setup, Console& console, double peak_flops)
      : config_(config),
        setup_(setup),
        console_(console),
        efficiency_{tessera::model::flops_per_token(config.model, config.batch.seq_length), peak_flops},
        progress_(console, config.training.steps, config.training.log_interval, efficiency_),
        metrics_(console.speaks() ? config.output.metrics : ""),
        trainer_(config, setup.plan,
                 {&*setup.mesh, &setup.ledger, setup.telemetry.get(), setup.inputs.matmul.get(),
                  &*setup.inputs.dataset}) {}

  /// Trains, samples and prints the results.
  ExitCode run(TraceFile& trace, train::AllocationMeter const& meter) {
    for (std::int64_t step = 1; step <= config_.training.steps; ++step) {
      if (!make_step(step)) return ExitCode::internal;
    }
    sample();
    trace.write(*setup_.mesh);
    finish(meter);
    return ExitCode::ok;
  }

 private:
  bool make_step(std::int64_t step) {
    auto const report = trainer_.step();
    last_ = report;
    std::optional<double> validation;
    auto const interval = config_.training.eval_interval;
    if (interval > 0 && (step % interval == 0 || step == config_.training.steps))
      validation = trainer_.validate();
    progress_.step(report);
    if (validation) progress_.validation(step, *validation);
    metrics_.write(train::metrics_line(report, efficiency_, validation ? &*validation : nullptr));
    if (!report.skipped || config_.training.on_nonfinite == "skip") return true;
    if (console_.speaks()) {
      print_failure(
          {ExitCode::internal,
           {fmt::format("loss or gradient of step {} is not finite; the weights are those before it. Lower "
                        "optimizer.lr, or set training.on_nonfinite = \"skip\" to leave such steps out",
                        step)}});
    }
    return false;
  }

  void sample() {
    if (config_.sample.length == 0) return;
    tessera::data::ByteTokenizer const tokenizer;
    auto const text = trainer_.sample(tokenizer.encode(config_.sample.prompt), config_.sample.length,
                                      config_.sample.temperature);
    bool const is_bytes = config_.model.vocab_size <= tessera::data::ByteTokenizer::vocab_size();
    console_.line("sample:\n{}\n", is_bytes ? tessera::data::printable(tokenizer.decode(text))
                                            : fmt::format("{}", token_list(text)));
  }

  static std::string token_list(std::vector<std::int32_t> const& tokens) {
    std::string text;
    for (auto const token : tokens) text += fmt::format("{} ", token);
    return text;
  }

  void finish(train::AllocationMeter const& meter) {
    std::uint64_t const hash = trainer_.weights_hash();
    auto& world = setup_.mesh->world();
    auto const predicted = static_cast<double>(setup_.largest_bytes);
    auto const used = static_cast<double>(all_reduce_value(world, meter.peak_bytes(), comm::Op::max));
    auto const resident =
        static_cast<double>(all_reduce_value(world, train::peak_resident_bytes(), comm::Op::max));
    console_.line("model FLOP/s: {:.1f}% of the measured peak", 100 * progress_.mfu());
    console_.line("communication of the last step, all ranks: {}", traffic_text(last_));
    console_.line("peak memory per rank: {} of {} predicted ({:.1f}%); resident set {}", bytes_text(used),
                  bytes_text(predicted), 100 * used / predicted, bytes_text(resident));
    console_.line("Weights: {:016x}", hash);
    console_.line("Figure of Merit (FOM): {:.3f} tokens/s", progress_.tokens_per_s());
  }

  train::RunConfig const& config_;
  Setup& setup_;
  Console& console_;
  train::Efficiency efficiency_;
  Progress progress_;
  MetricsFile metrics_;
  train::Trainer<T> trainer_;
  train::StepReport last_;
};

template <class T>
ExitCode run_as(train::RunConfig const& config, Setup& setup, Console& console, comm::Communicator& world) {
  double const peak_flops = train::measure_peak_flops<T>(*setup.inputs.matmul, world);
  print_header(console, setup, config, peak_flops);
  train::AllocationMeter const meter;
  std::optional<TraceFile> trace;
  std::optional<Run<T>> run;
  auto const made = attempt([&] {
    trace.emplace(config.output.trace, config.output.trace_spans);
    run.emplace(config, setup, console, peak_flops);
  });
  if (auto const code = agree(world, made)) return *code;
  trace->start(world);
  // From here on ranks work for themselves: one that fails cannot wait for the others to agree, nor leave
  // this function, where requests that it started would be waited for.
  ExitCode code = ExitCode::internal;
  if (auto const failure = attempt([&] { code = run->run(*trace, meter); })) end_job(world, *failure);
  return code;
}

}  // namespace

ExitCode run_training(comm::Session& session, comm::Communicator& world, train::RunConfig const& config,
                      Inputs inputs) {
  auto const layout = train::resolve(config, world.size());
  bool const wide = config.training.precision == "float64";
  Setup setup;
  setup.inputs = std::move(inputs);
  int const ranks_on_node = world.split_by_node()->size();
  auto const meshed = attempt([&] { make_mesh(setup, session, config, layout); });
  if (auto const code = agree(world, meshed)) return *code;
  std::optional<Console> console;
  auto const ready = attempt([&] {
    check_memory(setup, config, ranks_on_node);
    console.emplace(setup.mesh->rank() == 0, config.output.log);
  });
  if (auto const code = agree(world, ready)) return *code;
  setup.largest_bytes = all_reduce_value(world, setup.memory.total_bytes(), comm::Op::max);
  return wide ? run_as<double>(config, setup, *console, world)
              : run_as<float>(config, setup, *console, world);
}

}  // namespace gpt_train
