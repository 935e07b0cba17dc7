// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "doctor.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "agreement.hpp"
#include "command_line.hpp"
#include "console.hpp"
#include "doctor_speed.hpp"
#include "doctor_system.hpp"
#include "tessera/base/error.hpp"
#include "tessera/comm/collectives.hpp"
#include "tessera/kernels/matmul.hpp"
#include "text.hpp"

namespace gpt_train {

using tessera::ExitCode;
namespace comm = tessera::comm;

namespace {

struct Order {
  std::string directory, help;
  int checkpoints = 0, ranks = 0;
  RunConfig config;
};

/// Alone, it is for a run of more ranks that its options are looked at.
std::vector<std::string> options_of_run(std::vector<std::string> options, int wanted, int here) {
  if (wanted > 0 && here > 1 && wanted != here) {
    throw tessera::ConfigError(
        {fmt::format("doctor: --ranks {} is for doctor alone, and {} ranks run it", wanted, here)},
        ExitCode::usage);
  }
  if (here > 1) return options;
  options.emplace_back("--dry-run");
  if (wanted > 0) options.insert(options.end(), {"--ranks", std::to_string(wanted)});
  return options;
}

Order parse(std::vector<std::string> arguments, int ranks) {
  CLI::App app("Looks at the machine, the libraries and the directory of checkpoints before a run.",
               "gpt_train doctor");
  Order order;
  app.add_option("--directory", order.directory, "where checkpoints would go [--save, else .]");
  app.add_option("--checkpoints", order.checkpoints, "how many must have room [--keep + 1]")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--ranks", order.ranks, "of the run, where doctor itself runs alone [what the layout needs]")
      ->check(CLI::Range(1, 1 << 20));
  app.footer(
      "Any option of a run may follow, --config first of all: its model says how large a checkpoint is.");
  app.allow_extras();
  std::ranges::reverse(arguments);  // CLI11 reads a vector from its end
  try {
    app.parse(std::move(arguments));
  } catch (CLI::CallForHelp const&) {
    order.help = app.help();
    return order;
  } catch (CLI::ParseError const& error) {
    throw tessera::ConfigError({fmt::format("doctor: {}", error.what())}, ExitCode::usage);
  }
  auto const command = parse_command_line(options_of_run(app.remaining(), order.ranks, ranks), ranks);
  order.config = command.config;
  order.help = command.text;
  auto const& saved = order.config.checkpoint;
  if (order.directory.empty()) order.directory = saved.save.empty() ? "." : saved.save;
  if (order.checkpoints == 0) order.checkpoints = std::max(1, saved.keep) + 1;
  return order;
}

/// Prints what was found as soon as it is; one rank speaks.
class Report {
 public:
  explicit Report(bool speaks) : speaks_(speaks), colour_(Console(speaks, "").is_terminal()) {}

  void add(std::string const& heading, Findings const& findings) {
    failed_ = failed_ || any_failed(findings);
    if (!speaks_) return;
    std::fputs(findings_text(heading, findings, colour_).c_str(), stdout);
    std::fflush(stdout);
  }
  [[nodiscard]] bool failed() const noexcept { return failed_; }

 private:
  bool speaks_, colour_, failed_ = false;
};

}  // namespace

int doctor(comm::Session& session, comm::Communicator& world, std::vector<std::string> const& arguments) {
  Order order;
  auto const parsed = attempt([&] { order = parse(arguments, world.size()); });
  if (auto const code = agree(world, parsed)) return static_cast<int>(*code);
  auto const place = comm::launcher_place();
  bool const first = world.rank() == 0 && (!place || place->rank == 0);
  if (!order.help.empty()) {
    if (first) std::fputs(order.help.c_str(), stdout);
    return 0;
  }
  Report report(first);
  report.add("libraries", find_libraries(session, world.size()));
  auto const places = find_places(world);
  report.add("places", places.findings);
  report.add("limits of rank 0", find_limits());
  auto const sharing = find_sharing(world, order.directory);
  if (first) {
    auto findings = find_directory(order.directory, checkpoint_bytes(order.config), order.checkpoints);
    if (!any_failed(findings)) findings.insert(findings.end(), sharing.begin(), sharing.end());
    report.add(fmt::format("checkpoints in {}", order.directory), findings);
  }
  report.add("communication", find_collectives(world));
  std::unique_ptr<tessera::kernels::MatmulProvider> provider;
  auto const made = attempt([&] {
    provider = tessera::kernels::make_matmul_provider(order.config.parallel.matmul, tessera::DType::f32);
  });
  if (auto const code = agree(world, made)) return static_cast<int>(*code);
  report.add("matrix products", find_products(world, *provider, places.crowded));
  bool const failed = comm::broadcast_value(world, std::int32_t{report.failed()}, 0) != 0;
  if (first) std::fputs(failed ? "not fit for a run: see the lines with FAIL\n" : "fit for a run\n", stdout);
  return failed ? static_cast<int>(ExitCode::config) : 0;
}

}  // namespace gpt_train
