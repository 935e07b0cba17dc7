// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "training.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agreement.hpp"
#include "devices.hpp"
#include "run.hpp"
#include "tessera/base/version.hpp"
#include "tessera/checkpoint/fault_point.hpp"
#include "tessera/comm/checked.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/train/peak.hpp"
#include "tessera/train/precision.hpp"
#include "tessera/train/room_options.hpp"
#include "text.hpp"

namespace gpt_train {

namespace train = tessera::train;
namespace comm = tessera::comm;
using tessera::ExitCode;

namespace {

/// Waits for files, memory and other things that take their time last so many time-outs.
constexpr int patience = 10;

/// Puts around a communicator what the configuration asks for. Collective over it.
std::unique_ptr<comm::Communicator> decorated(Setup& setup, train::RunConfig const& config,
                                              std::unique_ptr<comm::Communicator> part, std::string_view name,
                                              int rank, int time_outs = 1) {
  if (config.watchdog.check_collectives) part = comm::make_checked(std::move(part), name, rank);
  return setup.watchdog ? setup.watchdog->watched(std::move(part), name, time_outs) : std::move(part);
}

/// Started by mpirun a rank alone is still one of an MPI, which is asked in every step and not recorded.
void check_graph(comm::Communicator const& world, train::ParallelConfig const& config) {
  if (!config.cuda_graph || world.backend().find("mpi") == std::string_view::npos) return;
  throw tessera::ConfigError({fmt::format(
      "parallel.cuda_graph does not record calls of MPI, and this rank is connected by {}: start "
      "the program without mpirun, or leave --cuda-graph out",
      world.backend())});
}

void make_mesh(Setup& setup, comm::Session& session, train::RunConfig const& config,
               train::Layout const& layout) {
  setup.tensor_way = session.tensor_way();
  auto world = session.world();
  check_graph(*world, config.parallel);
  auto options = train::mesh_options(config);
  setup.devices = open_devices(*world, config.parallel);
  options.devices = setup.devices.get();
  if (setup.watchdog) setup.watchdog->look_after(setup.devices);
  options.decorate = [&](std::unique_ptr<comm::Communicator> part, std::string_view name, int rank) {
    return decorated(setup, config, std::move(part), name, rank);
  };
  setup.mesh.emplace(std::move(world), tessera::mesh::MeshShape{layout.tp, layout.pp, layout.dp}, options,
                     setup.ledger);
  int const rank = setup.mesh->rank();
  if (setup.watchdog) setup.watchdog->set_rank(rank);
  tessera::checkpoint::set_fault_rank(rank);
  setup.telemetry = decorated(setup, config, session.world(), "telemetry", rank);
  auto const& place = setup.mesh->coordinates();
  setup.plan = train::make_plan(config, layout, {place.tp, place.pp, place.dp});
  setup.plan.tree_over_tp = setup.mesh->plan(tessera::mesh::Axis::tp).tree;
  setup.plan.tree_over_dp = setup.mesh->plan(tessera::mesh::Axis::dp).tree;
  setup.plan.tree_over_tied = layout.explicit_tiles && setup.mesh->plan(tessera::mesh::Axis::pp).devices;
  setup.memory = train::predict_memory(config, setup.plan);
}

/// Throws unless the ranks of this node can all have what they will need.
void check_memory(std::optional<train::NodeMemory> const& node, std::size_t own_needs) {
  if (!node || node->enough()) return;
  auto const text = [](std::size_t bytes) { return bytes_text(static_cast<double>(bytes)); };
  auto const together = node->ranks == 1 ? std::string()
                                         : fmt::format(" ({} ranks share {} and need {})", node->ranks,
                                                       text(node->has_bytes), text(node->needs_bytes));
  throw tessera::MemoryError(
      fmt::format("not enough memory: a rank needs {} and has {}{}, by the limit of {}. Use more ranks (tp, "
                  "pp), a smaller "
                  "batch.micro_batch_size or batch.seq_length; --dry-run shows the parts",
                  text(own_needs), text(node->has_bytes_per_rank()), together, node->limit));
}

void print_header(Console& console, Setup const& setup, train::RunConfig const& config, double peak_flops) {
  int const ranks = setup.mesh->size();
  console.line("Tessera {}: gpt_train on {} rank{}, {} instructions", tessera::version(), ranks,
               ranks == 1 ? "" : "s", tessera::instruction_level());
  console.line(setup.mesh->map());
  if (!setup.tensor_way.empty()) console.line("communication: {}", setup.tensor_way);
  console.line(model_text(config));
  console.line(batch_text(config, setup.plan.layout));
  console.line("data: {}", setup.inputs.dataset->description());
  console.line("matrix products: {}, {:.1f} GFLOP/s {} on all ranks", setup.inputs.matmul->name(),
               peak_flops * 1e-9, peak_origin(config.output));
  console.line(memory_text(setup.memory));
  if (ranks > 1) {
    console.line("memory of the rank that needs most: {}",
                 bytes_text(static_cast<double>(setup.largest_bytes)));
  }
  auto const has = setup.node_memory ? setup.node_memory->has_bytes_per_rank() : 0;
  if (auto const text = checkpoint_text(config); !text.empty()) console.line(text);
  for (auto const& notice : setup.beginning.notices) console.line(notice);
  if (auto const advice = advice_text(config, *setup.mesh, has); !advice.empty()) console.line(advice);
}

template <class T>
ExitCode run_as(train::RunConfig const& config, Setup& setup, Console& console, comm::Communicator& world) {
  train::AllocationMeter meter;  // what products keep from now on is the run's
  double const given = config.output.peak_tflops * 1e12 * world.size();
  double const peak_flops = given > 0 ? given : train::measure_peak_flops<T>(*setup.inputs.matmul, world);
  meter.restart();
  print_header(console, setup, config, peak_flops);
  std::optional<TraceFile> trace;
  std::optional<Run<T>> run;
  auto const made = attempt([&] {
    trace.emplace(config.output.trace, config.output.trace_spans);
    run.emplace(config, setup, console, peak_flops);
  });
  if (auto const code = agree(world, made)) return *code;
  if (auto const code = agree(world, attempt([&] { run->prepare_saving(); }))) return *code;
  trace->start(setup.mesh->world());
  // From here on ranks work for themselves: one that fails cannot wait for the others to agree, nor leave
  // this function, where requests that it started would be waited for.
  ExitCode code = ExitCode::internal;
  if (auto const failure = attempt([&] { code = run->run(*trace, meter); })) {
    if (setup.watchdog) {
      setup.watchdog->end_if_devices_failed();
      setup.watchdog->leave();
    }
    end_job(world, *failure);
  }
  return code;
}

}  // namespace

ExitCode run_training(comm::Session& session, comm::Communicator& job, train::RunConfig const& config,
                      Inputs inputs, train::SignalWatch const* signals, Departure::Clock::time_point start) {
  auto const layout = train::resolve(config, job.size());
  Setup setup;
  setup.inputs = std::move(inputs);
  setup.signals = signals;
  setup.start = start;
  if (config.watchdog.timeout > 0 && job.size() > 1) {
    setup.watchdog =
        std::make_unique<train::Watchdog>(job, train::WatchdogOptions{config.watchdog.timeout, "gpt_train"});
  }
  auto const watched = decorated(setup, config, session.world(), "job", job.rank(), patience);
  auto& world = *watched;
  auto const meshed = attempt([&] { make_mesh(setup, session, config, layout); });
  if (auto const code = agree(world, meshed)) return *code;
  auto const node = world.split_by_node();
  setup.nodes = all_reduce_value(world, std::int32_t{node->rank() == 0}, comm::Op::sum);
  setup.node_memory = train::fit_in_node(*node, setup.memory.total_bytes(), train::memory_limits());
  std::optional<Console> console;
  auto const ready = attempt([&] {
    check_memory(setup.node_memory, setup.memory.total_bytes());
    console.emplace(setup.mesh->rank() == 0, config.output.log);
  });
  if (auto const code = agree(world, ready)) return *code;
  auto const begun = attempt([&] {
    auto saving = decorated(setup, config, job.split(0, setup.mesh->rank()), "checkpoint", setup.mesh->rank(),
                            patience);
    setup.beginning = begin(std::move(saving), config, setup.plan, setup.inputs.dataset->training_samples());
  });
  if (auto const code = agree(world, begun)) return *code;
  setup.largest_bytes = all_reduce_value(world, setup.memory.total_bytes(), comm::Op::max);
  return train::in_precision(
      config, [&](auto zero) { return run_as<decltype(zero)>(config, setup, *console, world); });
}

}  // namespace gpt_train
