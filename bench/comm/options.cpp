// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <utility>

#include "tessera/base/error.hpp"

namespace tessera::bench {

namespace {

constexpr std::size_t large = std::size_t{1} << 20;

std::map<std::string, Format> const formats{{"table", Format::table},
                                            {"nccl", Format::nccl},
                                            {"osu", Format::osu},
                                            {"json", Format::json},
                                            {"csv", Format::csv}};

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (auto const& collective : collectives()) all.emplace_back(collective.name);
  return all;
}

ConfigError usage(std::string problem) { return ConfigError({std::move(problem)}, ExitCode::usage); }

void check_sizes(Options const& options) {
  if (options.min_bytes < sizeof(float) || options.max_bytes < options.min_bytes)
    throw usage(fmt::format("--min-bytes {} and --max-bytes {}: sizes from 4 bytes up to the largest",
                            options.min_bytes, options.max_bytes));
}

}  // namespace

Repetition Options::repetition_of(std::size_t bytes) const {
  return {repetition.iterations > 0 ? repetition.iterations : (bytes < large ? 200 : 20), repetition.warmup};
}

Options parse_options(std::vector<std::string> arguments) {
  Options options;
  CLI::App app("Times collectives, each verified once. Run it under mpirun or srun.", "bench_comm");
  app.add_option("--format", options.format, "table (Google Benchmark), nccl, osu, json or csv")
      ->transform(CLI::CheckedTransformer(formats))
      ->type_name("FORMAT");
  app.add_option("--backend", options.backend, "communication library [mpi]");
  app.add_option("--collective", options.collectives, "only these, separated by commas")
      ->delimiter(',')
      ->check(CLI::IsMember(names()));
  app.add_option("--kind", options.kinds, "only communicators of these kinds: mpi, tree, hierarchical")
      ->delimiter(',');
  auto const size = [&](char const* flags, std::size_t& value, char const* help) {
    app.add_option(flags, value, help)->transform(CLI::AsSizeValue(false))->type_name("SIZE");
  };
  size("-b,--min-bytes", options.min_bytes, "smallest size, e.g. 8, 4K, 16M [4K]");
  size("-e,--max-bytes", options.max_bytes, "largest size [16M]");
  app.add_option("-f,--factor", options.factor, "from one size to the next [16]")->check(CLI::Range(2, 1024));
  app.add_option("-n,--iterations", options.repetition.iterations, "timed [200 below 1 MiB, else 20]")
      ->check(CLI::Range(1, 1000000));
  app.add_option("-w,--warmup", options.repetition.warmup, "before them [2]")->check(CLI::Range(0, 1000000));
  app.add_flag("!--no-in-place", options.in_place, "leave out what works in place");
  app.add_flag("!--no-out-of-place", options.out_of_place, "leave out what does not");
  app.add_option("--output", options.output, "file to write to in place of standard output");
  app.footer("--benchmark_* are Google Benchmark's, with --format table.");
  app.allow_extras();
  std::ranges::reverse(arguments);  // CLI11 reads a vector from its end
  try {
    app.parse(std::move(arguments));
  } catch (CLI::CallForHelp const&) {
    options.help = app.help();
  } catch (CLI::ParseError const& error) {
    throw usage(error.what());
  }
  for (auto const& extra : app.remaining()) {
    if (!extra.starts_with("--benchmark_")) throw usage(fmt::format("unknown argument {}", extra));
    if (options.format != Format::table)
      throw usage(
          fmt::format("{} is for --format table; elsewhere --collective, --kind and sizes choose", extra));
    options.of_google_benchmark.push_back(extra);
  }
  check_sizes(options);
  return options;
}

}  // namespace tessera::bench
