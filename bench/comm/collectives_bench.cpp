// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Time and bandwidth of the collectives, for each communicator that the mesh may choose:
//
//     mpirun -n 4 bench_comm --benchmark_filter=all_reduce
//
// Every case is verified once before it is timed. An iteration's time is the longest of all ranks, from a
// barrier on, and the number of iterations is fixed: ranks that disagreed on it would wait for each other for
// ever. bench/README.md has the formulas.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/silent_reporter.hpp"
#include "tessera/base/kokkos.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/comm/hierarchical.hpp"
#include "tessera/comm/session.hpp"
#include "tessera/comm/tree.hpp"

namespace {

using tessera::comm::Communicator;
using tessera::comm::Op;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The buffers of one case: `whole` holds n times the elements of `part`.
struct Buffers {
  std::vector<float> part;
  std::vector<float> whole;
};

/// A collective that moves `bytes` by the convention of bench/README.md.
struct Collective {
  std::string name;
  void (*run)(Communicator&, Buffers&);
  double (*bus_factor)(double ranks);
  float (*expected)(float ranks);  // first element of the result when all inputs are 1
  bool result_in_part;
};

void all_reduce(Communicator& comm, Buffers& data) {
  tessera::comm::all_reduce_in_place(comm, data.whole, Op::sum).wait_host();
}
void all_gather(Communicator& comm, Buffers& data) {
  tessera::comm::all_gather(comm, data.part, data.whole).wait_host();
}
void reduce_scatter(Communicator& comm, Buffers& data) {
  tessera::comm::reduce_scatter(comm, data.whole, data.part, Op::sum).wait_host();
}
void broadcast(Communicator& comm, Buffers& data) {
  tessera::comm::broadcast(comm, data.whole, 0).wait_host();
}

double twice_others(double ranks) { return 2 * (ranks - 1) / ranks; }
double others(double ranks) { return (ranks - 1) / ranks; }
double once(double) { return 1; }
float sum_of_ones(float ranks) { return ranks; }
float one(float) { return 1; }

Collective const collectives[] = {{"all_reduce", &all_reduce, &twice_others, &sum_of_ones, false},
                                  {"all_gather", &all_gather, &others, &one, false},
                                  {"reduce_scatter", &reduce_scatter, &others, &sum_of_ones, true},
                                  {"broadcast", &broadcast, &once, &one, false}};

/// Bytes a second of a copy of `bytes`, on all ranks at once: the limit of links that are memory.
double copy_rate(Communicator& comm, std::size_t bytes) {
  std::vector<float> const from(bytes / sizeof(float), 1.0f);
  std::vector<float> to(from.size());
  double best_s = 1e30;
  for (int round = 0; round < 5; ++round) {
    tessera::comm::barrier(comm);
    auto const start = Clock::now();
    std::copy(from.begin(), from.end(), to.begin());
    benchmark::DoNotOptimize(to.data());
    best_s = std::min(best_s, tessera::comm::all_reduce_value(comm, seconds_since(start), Op::max));
  }
  return static_cast<double>(bytes) / best_s;
}

void run_case(benchmark::State& state, Communicator& comm, Collective const& collective) {
  auto const bytes = static_cast<std::size_t>(state.range(0));
  auto const ranks = static_cast<std::size_t>(comm.size());
  std::size_t const part = bytes / sizeof(float) / ranks;
  Buffers data{std::vector<float>(part, 1.0f), std::vector<float>(part * ranks, 1.0f)};
  collective.run(comm, data);
  float const got = collective.result_in_part ? data.part.front() : data.whole.front();
  bool const right = got == collective.expected(static_cast<float>(ranks));
  if (tessera::comm::all_reduce_value(comm, std::int32_t{right}, Op::min) == 0) {
    state.SkipWithError("wrong result");
    return;
  }
  std::vector<double> times_s;
  for (auto _ : state) {
    std::fill(data.whole.begin(), data.whole.end(), 1.0f);
    tessera::comm::barrier(comm);
    auto const start = Clock::now();
    collective.run(comm, data);
    times_s.push_back(tessera::comm::all_reduce_value(comm, seconds_since(start), Op::max));
    state.SetIterationTime(times_s.back());
  }
  std::nth_element(times_s.begin(), times_s.begin() + static_cast<std::ptrdiff_t>(times_s.size() / 2),
                   times_s.end());
  double const median_s = times_s[times_s.size() / 2];
  double const algorithm_rate = static_cast<double>(part * ranks * sizeof(float)) / median_s;
  double const bus_rate = algorithm_rate * collective.bus_factor(static_cast<double>(ranks));
  state.counters["median_us"] = median_s * 1e6;
  state.counters["algbw_GBps"] = algorithm_rate / 1e9;
  state.counters["busbw_GBps"] = bus_rate / 1e9;
  state.counters["bus/copy"] = bus_rate / copy_rate(comm, bytes);
}

void register_cases(Communicator& comm) {
  for (auto const& collective : collectives) {
    for (std::int64_t bytes = 4096; bytes <= (std::int64_t{1} << 24); bytes *= 16) {
      std::string const name = collective.name + "/" + std::string(comm.backend());
      benchmark::RegisterBenchmark(
          name.c_str(), [&comm, &collective](benchmark::State& state) { run_case(state, comm, collective); })
          ->Arg(bytes)
          ->UseManualTime()
          ->Iterations(bytes < (1 << 20) ? 200 : 20)
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

/// The kinds that exist for this number of ranks; a hierarchical one takes each two neighbours for a node.
std::vector<std::unique_ptr<Communicator>> kinds(Communicator& world) {
  std::vector<std::unique_ptr<Communicator>> result;
  result.push_back(world.duplicate());
  if (!std::has_single_bit(static_cast<unsigned>(world.size()))) return result;
  result.push_back(tessera::comm::make_tree(world.duplicate()));
  if (world.size() < 4) return result;
  auto const part = [&](int color) { return tessera::comm::make_tree(world.split(color, world.rank())); };
  auto inside = part(world.rank() / 2);
  auto across = part(world.rank() % 2);
  result.push_back(tessera::comm::make_hierarchical(tessera::comm::make_tree(world.duplicate()),
                                                    std::move(inside), std::move(across)));
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  auto const session = tessera::comm::open_session("mpi", argc, argv);
  Kokkos::ScopeGuard const kokkos(argc, argv);
  auto const world = session->world();
  auto const communicators = kinds(*world);
  for (auto const& comm : communicators) register_cases(*comm);
  if (world->rank() == 0) {
    std::printf("%d ranks\n", world->size());
    benchmark::RunSpecifiedBenchmarks();
  } else {
    tessera::bench::SilentReporter silent;
    benchmark::RunSpecifiedBenchmarks(&silent);
  }
  return 0;
}
