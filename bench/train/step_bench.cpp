// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// A whole training step of a model of GPT-2 124M's size, float32, B = 4, S = 256, as ratios measured in one
// run:
//
//     OMP_NUM_THREADS=1 mpirun -n 2 bench_train
//
//   of_peak   model FLOP/s / FLOP/s of a 1024-cubed product on the same ranks at the same time
//   speedup   step time of one rank / step time of all ranks as one tp group (the others idle meanwhile)
//   of_cores  FLOP/s of that product on all ranks at the same time / on one: what the cores allow
//   price     step time with --tiles 8 / with --tiles auto, model with 16 heads
//
// The two runs that a ratio compares take steps in turns, and the medians count. bench/README.md says more.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "support/silent_reporter.hpp"
#include "tessera/base/philox.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/comm/session.hpp"
#include "tessera/train/peak.hpp"
#include "tessera/train/trainer.hpp"

namespace {

namespace comm = tessera::comm;
namespace train = tessera::train;

constexpr int rounds = 5;

train::RunConfig model_of_124m(std::int64_t heads) {
  train::RunConfig config;
  config.model = {};
  config.model.layers = 12;
  config.model.hidden_size = 768;
  config.model.heads = heads;
  config.model.vocab_size = 50257;
  config.model.max_positions = 1024;
  config.batch = {256, 4, 4};
  config.sample.length = 0;
  config.training.eval_interval = 0;
  return config;
}

/// Random bytes to train on: a step takes the same time whatever it learns.
class DataFile {
 public:
  DataFile()
      : path_(std::filesystem::temp_directory_path() / ("tessera_bench_" + std::to_string(::getpid()))) {
    tessera::RandomSite const site(1, 0, 0);
    std::ofstream file(path_, std::ios::binary);
    for (std::uint64_t i = 0; i < 1 << 18; ++i) file.put(static_cast<char>(site.bits(i)));
  }
  DataFile(DataFile const&) = delete;
  DataFile& operator=(DataFile const&) = delete;
  ~DataFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  [[nodiscard]] std::string path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// One training run over all ranks of `world` as one tp group.
class Training {
 public:
  Training(comm::Communicator& world, train::RunConfig config, std::string const& data,
           tessera::kernels::MatmulProvider const& matmul)
      : config_(std::move(config)), telemetry_(world.duplicate()) {
    config_.parallel.tp = world.size();
    auto const layout = train::resolve(config_, world.size());
    tessera::mesh::MeshOptions options;
    options.explicit_tiles = layout.explicit_tiles;
    mesh_.emplace(world.duplicate(), tessera::mesh::MeshShape{layout.tp, 1, 1}, options, ledger_);
    dataset_.emplace(tessera::data::DatasetOptions{.path = data,
                                                   .format = "bytes",
                                                   .validation_fraction = 0,
                                                   .validation_path = "",
                                                   .seq_length = config_.batch.seq_length,
                                                   .vocab_size = config_.model.vocab_size});
    trainer_.emplace(config_, train::make_plan(config_, layout, {mesh_->coordinates().tp, 0, 0}),
                     train::Surroundings{&*mesh_, &ledger_, telemetry_.get(), &matmul, &*dataset_});
    trainer_->step();
  }

  double step_s() { return trainer_->step().step_s; }
  [[nodiscard]] double flops_per_step() const {
    return tessera::model::flops_per_token(config_.model, config_.batch.seq_length) *
           static_cast<double>(config_.batch.seq_length * config_.batch.global_batch_size);
  }

 private:
  train::RunConfig config_;
  comm::Ledger ledger_;
  std::unique_ptr<comm::Communicator> telemetry_;
  std::optional<tessera::mesh::Mesh> mesh_;
  std::optional<tessera::data::Dataset> dataset_;
  std::optional<train::Trainer<float>> trainer_;
};

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

/// What the cases share.
struct Bench {
  comm::Communicator& world;
  std::unique_ptr<comm::Communicator> alone;  // rank 0 by itself; null on the others
  std::unique_ptr<tessera::kernels::MatmulProvider> matmul;
  DataFile data;

  /// Median times of `rounds` turns of each action, the same on all ranks; an action that a rank has no part
  /// in is empty there.
  std::vector<double> take_turns(std::vector<std::function<double()>> const& actions) {
    std::vector<std::vector<double>> times(actions.size());
    for (int round = 0; round < rounds; ++round) {
      for (std::size_t i = 0; i < actions.size(); ++i) {
        barrier(world);
        double const own = actions[i] ? actions[i]() : 0;
        times[i].push_back(all_reduce_value(world, own, comm::Op::max));
      }
    }
    std::vector<double> medians;
    for (auto const& series : times) medians.push_back(median(series));
    return medians;
  }
};

/// One rank's step against the peak, and all ranks' against one rank's.
void step_case(benchmark::State& state, Bench& bench) {
  auto const config = model_of_124m(12);
  std::optional<Training> one, all;
  if (bench.alone) one.emplace(*bench.alone, config, bench.data.path(), *bench.matmul);
  if (bench.world.size() > 1) all.emplace(bench.world, config, bench.data.path(), *bench.matmul);
  for (auto _ : state) {
    std::function<double()> one_step, one_peak, all_step, all_peak;
    if (one) {
      one_step = [&] { return one->step_s(); };
      one_peak = [&] { return 1 / train::measure_peak_flops<float>(*bench.matmul, *bench.alone); };
    }
    if (all) {
      all_step = [&] { return all->step_s(); };
      all_peak = [&] { return 1 / train::measure_peak_flops<float>(*bench.matmul, bench.world); };
    }
    auto const times = bench.take_turns({one_step, one_peak, all_step, all_peak});
    state.SetIterationTime(times[0]);
    if (one) state.counters["of_peak"] = one->flops_per_step() / times[0] * times[1];
    if (all) {
      state.counters["speedup"] = times[0] / times[2];
      state.counters["of_cores"] = times[1] / times[3];
    }
  }
}

/// What fixed bits cost one rank.
void tiles_case(benchmark::State& state, Bench& bench) {
  std::optional<Training> fast, fixed;
  if (bench.alone) {
    auto config = model_of_124m(16);
    fast.emplace(*bench.alone, config, bench.data.path(), *bench.matmul);
    config.parallel.tiles = 8;
    fixed.emplace(*bench.alone, config, bench.data.path(), *bench.matmul);
  }
  for (auto _ : state) {
    std::function<double()> fast_step, fixed_step;
    if (fast) {
      fast_step = [&] { return fast->step_s(); };
      fixed_step = [&] { return fixed->step_s(); };
    }
    auto const times = bench.take_turns({fast_step, fixed_step});
    state.SetIterationTime(times[1]);
    state.counters["price"] = times[1] / times[0];
  }
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  auto const session = comm::open_session(comm::launcher_place() ? "mpi" : "loopback", argc, argv);
  Kokkos::ScopeGuard const kokkos(argc, argv);
  auto const world = session->world();
  Bench bench{*world,
              world->split(world->rank() == 0 ? std::optional(0) : std::nullopt, 0),
              tessera::kernels::make_matmul_provider("auto", tessera::DType::f32),
              {}};
  auto const add = [&](char const* name, void (*run)(benchmark::State&, Bench&)) {
    benchmark::RegisterBenchmark(name, [&bench, run](benchmark::State& state) { run(state, bench); })
        ->UseManualTime()
        ->Iterations(1)
        ->Unit(benchmark::kMillisecond);
  };
  add("step/gpt2-124m", &step_case);
  add("step/gpt2-124m-16h/tiles:8", &tiles_case);
  tessera::bench::SilentReporter silent;
  if (world->rank() == 0)
    std::printf("%d ranks, %s\n", world->size(), std::string(bench.matmul->name()).c_str());
  benchmark::RunSpecifiedBenchmarks(world->rank() == 0 ? nullptr : &silent);
  return 0;
}
