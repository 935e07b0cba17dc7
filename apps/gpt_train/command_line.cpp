// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "config_file.hpp"
#include "tessera/base/version.hpp"
#include "tessera/train/precision.hpp"
#include "tessera/train/validation.hpp"

namespace gpt_train {

namespace {

using tessera::ExitCode;
using Arguments = std::vector<std::string>;

constexpr std::int64_t most_ranks = 1 << 20;

/// Flags that are not part of the configuration.
struct Requests {
  std::string config_file;
  bool dry_run = false;
  bool dump_config = false;
  int ranks = 0;

  [[nodiscard]] bool planning() const { return dry_run || dump_config; }
};

/// "--a,!--no-a": how CLI11 is told of a switch that can be turned off.
std::string with_negation(Option const& option) {
  std::string names(option.flags);
  for (std::string const& flag : option.flag_names()) names += ",!--no-" + flag.substr(2);
  return names;
}

void declare(CLI::App& app, Option const& option) {
  std::string const help(option.help);
  if (option.is_switch()) {
    std::string const text = fmt::format("{} [{}]", help, to_toml(RunConfig{}, option));
    app.add_flag(with_negation(option), text)->group(std::string(option.section));
    return;
  }
  app.add_option(std::string(option.flags), help)
      ->group(std::string(option.section))
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
      ->type_name(fmt::format("[{}]", to_toml(RunConfig{}, option)));
}

void declare(CLI::App& app, Requests& requests) {
  app.set_help_flag("-h,--help", "this text; in brackets the defaults");
  app.set_version_flag("--version", std::string(tessera::version()));
  app.add_option("--config", requests.config_file, "TOML file with any of the values below")
      ->type_name("FILE")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_flag("--dump-config", requests.dump_config,
               "print the effective values and their origins, and end");
  app.add_flag("--dry-run", requests.dry_run,
               "check the configuration, forecast memory and messages, and end");
  app.add_option("--ranks", requests.ranks, "ranks that --dry-run and --dump-config plan for")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{1}, most_ranks));
  for (Option const& option : options()) declare(app, option);
  app.allow_extras();
  app.footer(
      "gpt_train top METRICS shows how the run that writes a metrics file stands; top --help says more.");
}

Arguments all_flags(CLI::App const& app) {
  Arguments flags;
  for (CLI::Option const* option : app.get_options()) {
    for (std::string const& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return flags;
}

/// "--metrics=" of an option that needs a value, as an unset variable of a shell leaves it.
bool is_emptied(std::string const& argument, CLI::App const& app) {
  if (!argument.starts_with("--") || !argument.ends_with('=')) return false;
  CLI::Option const* const option = app.get_option_no_throw(argument.substr(0, argument.size() - 1));
  return option != nullptr && option->get_items_expected_min() > 0;
}

/// Takes out flags that need a value and have none, because nothing or another flag follows, or nothing
/// stands behind the equals sign.
void take_out_valueless(Arguments& arguments, CLI::App const& app, Settings& settings) {
  for (std::size_t i = 0; i < arguments.size();) {
    CLI::Option const* const option = app.get_option_no_throw(arguments[i]);
    bool const needs = option != nullptr && option->get_items_expected_min() > 0;
    bool const has = i + 1 < arguments.size() && !arguments[i + 1].starts_with("--");
    if (is_emptied(arguments[i], app)) {
      auto const flag = arguments[i].substr(0, arguments[i].size() - 1);
      settings.report(
          fmt::format("{} needs a value, but nothing follows the equals sign (an empty text is given as "
                      "{} \"\")",
                      flag, flag),
          ExitCode::usage);
      arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(i));
    } else if (needs && !has) {
      settings.report(fmt::format("{} needs a value", arguments[i]), ExitCode::usage);
      arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      i += needs ? 2 : 1;
    }
  }
}

/// The flag that an unknown one was probably meant for, by its own name or by that of another program; empty
/// when there is none.
std::string meant(std::string const& flag, CLI::App const& app) {
  Arguments names = all_flags(app);
  Arguments const others = other_names();
  names.insert(names.end(), others.begin(), others.end());
  std::string nearest = nearest_name(flag, names);
  if (std::ranges::count(others, nearest) == 0) return nearest;
  Option const* const option = option_called(nearest);
  return option != nullptr ? option->flag_names().front() : "";
}

void report_unknown(Arguments const& extras, CLI::App const& app, Settings& settings) {
  bool after_flag = false;
  for (std::string const& extra : extras) {
    bool const is_flag = extra.starts_with("-") && extra.size() > 1;
    if (is_flag) {
      std::string const flag = extra.substr(0, extra.find('='));
      std::string const nearest = meant(flag, app);
      settings.report(
          fmt::format("unknown flag {}{}", flag, nearest.empty() ? "" : ": did you mean " + nearest + "?"),
          ExitCode::usage);
      for (Option const& option : options()) {
        if (std::ranges::count(option.flag_names(), nearest) > 0) settings.doubt(option);
      }
    } else if (!after_flag) {
      settings.report(fmt::format("argument \"{}\" belongs to no flag", extra), ExitCode::usage);
    }
    after_flag = is_flag;
  }
}

/// The flag as the user wrote it, last use first.
std::string spelling(Arguments const& arguments, CLI::Option const& option) {
  auto const used = std::find_if(arguments.rbegin(), arguments.rend(), [&](std::string const& argument) {
    std::string const flag = argument.substr(0, argument.find('='));
    return flag.starts_with("--") && option.check_lname(flag.substr(2));
  });
  return used != arguments.rend() ? used->substr(0, used->find('=')) : option.get_name();
}

void apply_flags(CLI::App const& app, Arguments const& arguments, Settings& settings) {
  for (Option const& option : options()) {
    CLI::Option const& given = *app.get_option(option.flag_names().front());
    if (given.count() == 0) continue;
    std::string const flag = spelling(arguments, given);
    std::string const& text = given.results().back();
    if (auto const value = parse(option, text)) {
      settings.set(option, *value, flag, ExitCode::usage);
    } else {
      settings.report(fmt::format("{} takes {}, not \"{}\"", flag, type_name(option), text), ExitCode::usage);
      settings.doubt(option);
    }
  }
}

int planned_ranks(Requests const& requests, RunConfig const& config, int world_ranks) {
  if (!requests.planning()) return world_ranks;
  if (requests.ranks > 0) return requests.ranks;
  if (world_ranks > 1) return world_ranks;
  std::int64_t ranks = 1;
  for (int const degree : {config.parallel.tp, config.parallel.pp, config.parallel.dp}) {
    ranks = std::min(most_ranks, ranks * std::max(1, degree));
  }
  return static_cast<int>(ranks);
}

/// Fills in what the configuration leaves open, and says the layout in a comment above the dumped values.
std::string complete(Settings& settings, int ranks) {
  RunConfig const config = settings.config();
  auto const layout = tessera::train::resolve(config, ranks);
  auto const derive = [&](bool open, std::string_view section, std::string_view key, Value const& value,
                          std::string_view how) {
    if (open) settings.derive(section, key, value, how);
  };
  derive(config.model.ffn_hidden_size == 0, "model", "ffn_hidden_size", layout.ffn_hidden_size,
         "4 x hidden_size");
  derive(config.parallel.dp == 0, "parallel", "dp", std::int64_t{layout.dp}, "ranks / (tp x pp)");
  derive(config.parallel.batch_tiles == 0, "parallel", "batch_tiles", std::int64_t{layout.batch_tiles},
         layout.explicit_tiles ? "largest power of two up to tiles in the microbatches" : "dp, in fast mode");
  derive(config.parallel.pipeline_layers.empty() && layout.pp > 1, "parallel", "pipeline_layers",
         layout.stage_layers, "even, the first stages take what is left over");
  derive(config.optimizer.loss_scale == tessera::train::loss_scale_by_precision, "optimizer", "loss_scale",
         tessera::train::loss_scale_of(config), "training.precision");
  // A warm-up that is longer than the run is legal as long as nobody says where the decay ends.
  derive(config.optimizer.decay_steps == 0 && layout.decay_steps >= config.optimizer.warmup_steps,
         "optimizer", "decay_steps", layout.decay_steps, "training.steps");
  return fmt::format(
      "# On {} ranks: tp {} x pp {} x dp {}; {} tiles, {} of the heads, {} of the batch; {} microbatches a "
      "step.\n\n",
      ranks, layout.tp, layout.pp, layout.dp, layout.tiles, layout.head_tiles, layout.batch_tiles,
      layout.microbatches);
}

/// Hands `arguments` to CLI11. Gives what to do when a text is all that was asked for.
std::optional<CommandLine> run_parser(CLI::App& app, Arguments arguments, Settings& settings) {
  std::ranges::reverse(arguments);  // CLI11 reads a vector from its end
  try {
    app.parse(std::move(arguments));
  } catch (CLI::CallForHelp const&) {
    return CommandLine{Action::print, app.help(), {}};
  } catch (CLI::CallForVersion const&) {
    return CommandLine{Action::version, {}, {}};
  } catch (CLI::ParseError const& error) {
    settings.report(error.what(), ExitCode::usage);
  }
  return std::nullopt;
}

}  // namespace

CommandLine parse_command_line(std::vector<std::string> arguments, int world_ranks,
                               std::function<void(Settings&)> const& inspect) {
  CLI::App app("Trains a GPT, split tp x pp x dp over the ranks of the job.", "gpt_train");
  Requests requests;
  Settings settings;
  declare(app, requests);
  std::ranges::transform(arguments, arguments.begin(), spelled_out);
  take_out_valueless(arguments, app, settings);
  if (auto asked = run_parser(app, arguments, settings)) return std::move(*asked);
  report_unknown(app.remaining(), app, settings);
  if (requests.ranks > 0 && !requests.planning()) {
    settings.report("--ranks goes with --dry-run or --dump-config: a job has the ranks it was started with",
                    ExitCode::usage);
  }
  bool const has_file = app.get_option("--config")->count() > 0;
  if (app.get_option("--config")->count() > 1) {
    settings.report("--config is given more than once: name one file, and give the rest as flags",
                    ExitCode::usage);
  }
  settings.set_config_file(requests.config_file);
  bool const readable = !has_file || read_config_file(requests.config_file, settings);
  if (!readable) settings.doubt_all();
  apply_flags(app, arguments, settings);
  int const ranks = planned_ranks(requests, settings.config(), world_ranks);
  if (readable) settings.check(ranks);
  if (inspect && !requests.planning()) inspect(settings);
  settings.throw_problems();
  if (requests.dump_config) {
    std::string const layout = complete(settings, ranks);
    return {Action::print, layout + settings.dump(), settings.config(), ranks};
  }
  return {requests.dry_run ? Action::dry_run : Action::train, "", settings.config(), ranks};
}

}  // namespace gpt_train
