// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// Time and bandwidth of the collectives, for each communicator that the mesh may choose:
//
//     mpirun -n 4 bench_comm --benchmark_filter=all_reduce
//     mpirun -n 4 bench_comm --format nccl --min-bytes 8 --max-bytes 64M --factor 2
//
// Every case is verified once before it is timed. An iteration's time is the longest of all ranks, from a
// barrier on. bench/README.md has the formulas and the formats.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "formats.hpp"
#include "measurement.hpp"
#include "options.hpp"
#include "support/hosts.hpp"
#include "support/silent_reporter.hpp"
#include "tessera/base/error.hpp"
#include "tessera/base/kokkos.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/comm/hierarchical.hpp"
#include "tessera/comm/session.hpp"
#include "tessera/comm/tree.hpp"

namespace {

using namespace tessera::bench;
using tessera::comm::Communicator;
using Kinds = std::vector<std::unique_ptr<Communicator>>;

/// The kinds that exist for this number of ranks; a hierarchical one takes each two neighbours for a node.
Kinds all_kinds(Communicator& world) {
  Kinds result;
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

/// "tree" of "tree(mpi)".
std::string family(Communicator const& comm) {
  std::string const name(comm.backend());
  return name.substr(0, name.find('('));
}

bool wanted(std::vector<std::string> const& list, std::string_view name) {
  return list.empty() || std::ranges::find(list, name) != list.end();
}

/// Wanted kinds that `kinds` lacks. Throws ConfigError (code usage) for one that never is.
std::vector<std::string> left_out(Communicator const& world, Kinds const& kinds, Options const& options) {
  std::vector<std::string> all{family(world), "tree", "hierarchical"};
  for (auto const& name : options.kinds) {
    if (!wanted(all, name))
      throw tessera::ConfigError({fmt::format("--kind: there is no \"{}\", only {}", name, listed(all))},
                                 tessera::ExitCode::usage);
  }
  std::erase_if(all, [&](auto const& name) {
    auto const is_it = [&](auto const& comm) { return family(*comm) == name; };
    return !wanted(options.kinds, name) || std::ranges::any_of(kinds, is_it);
  });
  return all;
}

std::string without_communicator(Communicator const& world, std::vector<std::string> const& kinds) {
  return fmt::format(
      "{} rank{} have no communicator of kind {}: tree wants a power of two, hierarchical 4 ranks or more of "
      "it",
      world.size(), world.size() == 1 ? "" : "s", listed(kinds));
}

/// Says on standard error which of the wanted kinds are left out. Empty if that is all: an error, told here
/// and not thrown, so that no other rank's end makes the launcher end rank 0 before it has spoken.
Kinds chosen_kinds(Communicator& world, Options const& options) {
  auto kinds = all_kinds(world);
  auto const absent = left_out(world, kinds, options);
  std::erase_if(kinds, [&](auto const& comm) { return !wanted(options.kinds, family(*comm)); });
  if (!absent.empty() && world.rank() == 0)
    fmt::print(stderr, "bench_comm: {}: {}\n", kinds.empty() ? "error: --kind" : "left out",
               without_communicator(world, absent));
  return kinds;
}

/// What is called `size` in the chosen format, as bytes of the whole buffer.
std::size_t whole_bytes(Communicator const& comm, Collective const& collective, Options const& options,
                        std::size_t size) {
  bool const of_part = options.format == Format::osu && collective.osu_names_part;
  return of_part ? size * static_cast<std::size_t>(comm.size()) : size;
}

/// Calls `action` for every wanted collective, size and manner of `comm`.
template <class Action>
void for_each_case(Collective const& collective, Options const& options, Action const& action) {
  for (auto bytes = options.min_bytes; bytes <= options.max_bytes; bytes *= options.factor) {
    if (options.out_of_place && collective.out_of_place) action(bytes, false);
    if (options.in_place || !collective.out_of_place) action(bytes, true);
  }
}

void run_case(benchmark::State& state, Communicator& comm, Collective const& collective, std::size_t bytes,
              bool in_place, Repetition const& repetition) {
  auto const result = measure(comm, collective, bytes, in_place, repetition);
  if (result.wrong != 0) state.SkipWithError("wrong result");
  for (auto _ : state) state.SetIterationTime(result.mean_s);
  state.counters["iterations"] = result.iterations;
  state.counters["median_us"] = result.median_s * 1e6;
  state.counters["algbw_GBps"] = result.algorithm_rate() / 1e9;
  state.counters["busbw_GBps"] = result.bus_rate() / 1e9;
  state.counters["bus/copy"] = result.bus_rate() / copy_rate(comm, bytes);
}

/// --format table.
void run_table(Communicator const& world, Kinds const& kinds, Options const& options) {
  for (auto const& comm : kinds) {
    for (auto const& collective : collectives()) {
      if (!wanted(options.collectives, collective.name)) continue;
      for_each_case(collective, options, [&](std::size_t bytes, bool in_place) {
        auto const name = fmt::format("{}/{}/{}{}", collective.name, comm->backend(), bytes,
                                      in_place && collective.out_of_place ? "/in_place" : "");
        benchmark::RegisterBenchmark(name.c_str(),
                                     [&, bytes, in_place](benchmark::State& state) {
                                       run_case(state, *comm, collective, bytes, in_place,
                                                options.repetition_of(bytes));
                                     })
            ->UseManualTime()
            ->Iterations(1)
            ->Unit(benchmark::kMicrosecond);
      });
    }
  }
  SilentReporter silent;
  if (world.rank() == 0) fmt::print("{} ranks\n", world.size());
  benchmark::RunSpecifiedBenchmarks(world.rank() == 0 ? nullptr : &silent);
}

/// Where rank 0 writes to; the others write nowhere.
class Output {
 public:
  Output(std::string const& path, bool writes) {
    if (!writes) return;
    file_ = path.empty() ? stdout : std::fopen(path.c_str(), "w");
    if (file_ == nullptr)
      throw tessera::IoError(fmt::format("--output \"{}\" cannot be written: {}", path, std::strerror(errno)),
                             tessera::ExitCode::cannot_create);
  }
  Output(Output const&) = delete;
  Output& operator=(Output const&) = delete;
  ~Output() {
    if (file_ != nullptr && file_ != stdout) std::fclose(file_);
  }
  void write(std::string const& text) {
    if (file_ == nullptr) return;
    std::fputs(text.c_str(), file_);
    std::fflush(file_);
  }

 private:
  std::FILE* file_ = nullptr;
};

/// Collective. Where every rank runs.
RunHead make_head(Communicator& world, Kinds const& kinds, Options const& options) {
  RunHead head{world.size(),
               options.min_bytes,
               options.max_bytes,
               options.factor,
               options.repetition_of(options.min_bytes),
               hosts_of(world),
               {},
               left_out(world, kinds, options)};
  head.processes = all_gather_values(world, std::int32_t{getpid()});
  return head;
}

/// The other formats. Gives the number of wrong elements.
std::int64_t run_format(Communicator& world, Kinds const& kinds, Options const& options) {
  Output output(options.output, world.rank() == 0);
  auto const head = make_head(world, kinds, options);
  std::vector<Measurement> all;
  output.write(opening(options.format, head));
  for (auto const& collective : collectives()) {
    if (!wanted(options.collectives, collective.name)) continue;
    for (auto const& comm : kinds) {
      auto const first = all.size();
      for_each_case(collective, options, [&](std::size_t bytes, bool in_place) {
        all.push_back(measure(*comm, collective, whole_bytes(*comm, collective, options, bytes), in_place,
                              options.repetition_of(bytes)));
      });
      output.write(group_text(options.format, std::span(all).subspan(first), first == 0));
    }
  }
  output.write(closing(options.format, all));
  std::int64_t wrong = 0;
  for (auto const& one : all) wrong += one.wrong;
  return wrong;
}

int run(int argc, char** argv) {
  auto const options = parse_options({argv + 1, argv + argc});
  auto const session = tessera::comm::open_session(options.backend, argc, argv);
  Kokkos::ScopeGuard const kokkos(argc, argv);
  auto const world = session->world();
  if (!options.help.empty()) {
    if (world->rank() == 0) fmt::print("{}", options.help);
    return 0;
  }
  auto const kinds = chosen_kinds(*world, options);
  if (kinds.empty()) return static_cast<int>(tessera::ExitCode::usage);
  if (options.format != Format::table)
    return run_format(*world, kinds, options) == 0 ? 0 : static_cast<int>(tessera::ExitCode::internal);
  std::vector<char*> words{argv[0]};
  auto given = options.of_google_benchmark;
  for (auto& word : given) words.push_back(word.data());
  int count = static_cast<int>(words.size());
  benchmark::Initialize(&count, words.data());
  run_table(*world, kinds, options);
  return 0;
}

}  // namespace

int main(int argc, char** argv) try { return run(argc, argv); } catch (tessera::Error const& error) {
  auto const place = tessera::comm::launcher_place();
  if (!place || place->rank == 0) fmt::print(stderr, "bench_comm: error: {}\n", error.what());
  return static_cast<int>(error.code());
}
