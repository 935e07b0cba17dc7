// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "command_line.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "options.hpp"
#include "support.hpp"

namespace gpt_train {
namespace {

using tessera::ExitCode;

TEST(CommandLine, WithoutArgumentsItTrainsTheDefaultsOnOneRank) {
  CommandLine const line = parse_command_line({}, 1);
  EXPECT_EQ(line.action, Action::train);
  EXPECT_EQ(line.config, RunConfig{});
  EXPECT_EQ(line.ranks, 1);
}

TEST(CommandLine, ShortFormsAndMegatronNamesMeanTheSame) {
  CommandLine const brief =
      parse_command_line({"--tp", "2", "--pp", "2", "--dp=2", "--steps", "7", "--data", "x"}, 8);
  CommandLine const full =
      parse_command_line({"--tensor-model-parallel-size", "2", "--pipeline-model-parallel-size=2",
                          "--data-parallel-size", "2", "--train-iters", "7", "--data-path", "x"},
                         8);
  EXPECT_EQ(brief.config, full.config);
  EXPECT_EQ(brief.config.parallel.tp, 2);
  EXPECT_EQ(brief.config.training.steps, 7);
  EXPECT_EQ(brief.config.data.path, "x");
  EXPECT_EQ(parse_command_line({"--bf16"}, 1).config, parse_command_line({"--precision", "bf16"}, 1).config);
  EXPECT_EQ(parse_command_line({"--fp16"}, 1).config, parse_command_line({"--precision", "fp16"}, 1).config);
  EXPECT_EQ(parse_command_line({"--bf16", "--precision=float32"}, 1).config.training.precision, "float32");
}

TEST(CommandLine, TheExampleOfTheReadmeParses) {
  CommandLine const line = parse_command_line({"--config",
                                               inputs_folder() + "/tiny.toml",
                                               "--data",
                                               "/tmp",
                                               "--steps",
                                               "10",
                                               "--tp",
                                               "2",
                                               "--pp",
                                               "2",
                                               "--dp",
                                               "2",
                                               "--sequence-parallel",
                                               "--tiles",
                                               "8",
                                               "--schedule",
                                               "gpipe",
                                               "--seq-length",
                                               "256",
                                               "--micro-batch-size",
                                               "4",
                                               "--global-batch-size",
                                               "32",
                                               "--seed",
                                               "1",
                                               "--metrics",
                                               "out.jsonl",
                                               "--trace",
                                               "out.json"},
                                              8);
  EXPECT_TRUE(line.config.parallel.sequence_parallel);
  EXPECT_EQ(line.config.parallel.schedule, "gpipe");
  EXPECT_EQ(line.config.output.trace, "out.json");
}

TEST(CommandLine, EveryValueTypeIsRead) {
  CommandLine const line =
      parse_command_line({"--lr", "1e-3", "--min-lr", "0", "--seed", "9223372036854775807", "--log", "",
                          "--no-overlap-grad-reduce", "--sequence-parallel=false", "--pp", "2",
                          "--pipeline-layers", "3,1", "--sample-length", "+5"},
                         2);
  EXPECT_EQ(line.config.optimizer.lr, 1e-3);
  EXPECT_EQ(line.config.optimizer.min_lr, 0);
  EXPECT_EQ(line.config.training.seed, 9223372036854775807);
  EXPECT_EQ(line.config.output.log, "");
  EXPECT_FALSE(line.config.parallel.overlap_grad_reduce);
  EXPECT_FALSE(line.config.parallel.sequence_parallel);
  EXPECT_EQ(line.config.parallel.pipeline_layers, (std::vector<std::int64_t>{3, 1}));
}

TEST(CommandLine, TilesMayBeAuto) {
  EXPECT_EQ(parse_command_line({"--tiles", "auto", "--batch-tiles", "auto"}, 1).config.parallel.tiles, 0);
  EXPECT_EQ(parse_command_line({"--tiles", "8"}, 1).config.parallel.tiles, 8);
  EXPECT_NE(parse_command_line({"--dump-config"}, 1).text.find("tiles = \"auto\""), std::string::npos);
  EXPECT_THROW((void)parse_command_line({"--tp", "auto"}, 1), tessera::ConfigError);
}

TEST(CommandLine, TheLossScaleIsAutoWithFp16AndOneElseUnlessItIsGiven) {
  auto const dumped = [](std::vector<std::string> arguments) {
    arguments.emplace_back("--dump-config");
    auto const text = parse_command_line(arguments, 1).text;
    auto const at = text.find("\nloss_scale = ") + 1;
    return text.substr(at, text.find(' ', at + 13) - at);
  };
  EXPECT_EQ(dumped({}), "loss_scale = 1");
  EXPECT_EQ(dumped({"--bf16"}), "loss_scale = 1");
  EXPECT_EQ(dumped({"--fp16"}), "loss_scale = \"auto\"");
  EXPECT_EQ(dumped({"--fp16", "--loss-scale", "256"}), "loss_scale = 256");
  EXPECT_EQ(dumped({"--loss-scale", "auto"}), "loss_scale = \"auto\"");
  EXPECT_EQ(dumped({"--fp16", "--loss-scale", "by-precision"}), "loss_scale = \"auto\"");
}

TEST(CommandLine, ASampleNeedsABeginningTheModelKnows) {
  EXPECT_THROW((void)parse_command_line({"--prompt", ""}, 1), tessera::ConfigError);
  EXPECT_THROW((void)parse_command_line({"--vocab-size", "50"}, 1), tessera::ConfigError);
  EXPECT_NO_THROW((void)parse_command_line({"--vocab-size", "50", "--sample-length", "0"}, 1));
}

TEST(CommandLine, ValuesMayBeginWithADash) {
  EXPECT_EQ(parse_command_line({"--prompt", "-x"}, 1).config.sample.prompt, "-x");
  EXPECT_EQ(parse_command_line({"--prompt=--x"}, 1).config.sample.prompt, "--x");
}

TEST(CommandLine, TheLastUseOfAFlagWins) {
  EXPECT_EQ(parse_command_line({"--steps", "5", "--train-iters", "6"}, 1).config.training.steps, 6);
  EXPECT_FALSE(parse_command_line({"--sequence-parallel", "--no-sequence-parallel"}, 1)
                   .config.parallel.sequence_parallel);
}

TEST(CommandLine, UnknownFlagsAreUsageErrorsWithTheNearestName) {
  expect_error({"--hiden-size", "768"}, 1, ExitCode::usage,
               {"unknown flag --hiden-size: did you mean --hidden-size?"});
  expect_error({"--tb=2"}, 1, ExitCode::usage, {"unknown flag --tb: did you mean --tp?"});
  expect_error({"--learning-rate", "1e-3"}, 1, ExitCode::usage, {"--learning-rate: did you mean --lr?"});
  expect_error({"--learing_rate=1e-3"}, 1, ExitCode::usage, {"--learing_rate: did you mean --lr?"});
  expect_error({"--tensor-parallel-size", "2"}, 2, ExitCode::usage,
               {"did you mean --tensor-model-parallel-size?"});
  expect_error({"--quantum-leap"}, 1, ExitCode::usage, {"unknown flag --quantum-leap"});
  expect_error({"-x"}, 1, ExitCode::usage, {"unknown flag -x"});
}

TEST(CommandLine, ArgumentsWithoutAFlagAreUsageErrors) {
  expect_error({"book.txt"}, 1, ExitCode::usage, {"argument \"book.txt\" belongs to no flag"});
}

TEST(CommandLine, FlagsWithoutAValueAreNamed) {
  expect_error({"--steps", "5", "--tp"}, 1, ExitCode::usage, {"--tp needs a value"});
  expect_error({"--tp", "--pp", "2"}, 2, ExitCode::usage, {"--tp needs a value"});
}

TEST(CommandLine, TextThatIsNoValueIsAUsageError) {
  expect_error({"--tp", "two"}, 1, ExitCode::usage, {"--tp takes an integer, not \"two\""});
  expect_error({"--tp", "2.5"}, 1, ExitCode::usage, {"--tp takes an integer, not \"2.5\""});
  expect_error({"--steps", "99999999999999999999"}, 1, ExitCode::usage, {"--steps takes an integer"});
  expect_error({"--tp", "9999999999"}, 1, ExitCode::usage,
               {"--tp: parallel.tp must be an integer that fits 32 bits"});
  expect_error({"--lr", "fast"}, 1, ExitCode::usage, {"--lr takes a number, not \"fast\""});
  expect_error({"--lr", "nan"}, 1, ExitCode::usage,
               {"--lr: optimizer.lr must be a number that is finite, not nan"});
  expect_error({"--lr", "1e999"}, 1, ExitCode::usage, {"--lr takes a number"});
  expect_error({"--sequence-parallel=maybe"}, 1, ExitCode::usage, {"--sequence-parallel"});
  expect_error({"--pp", "2", "--pipeline-layers", "2,x"}, 2, ExitCode::usage,
               {"--pipeline-layers takes a list of"});
}

TEST(CommandLine, ValuesOutOfRangeAreConfigurationErrorsThatNameTheFlag) {
  expect_error({"--lr", "-1"}, 1, ExitCode::config,
               {"--lr: optimizer.lr = -1 must be a number greater than 0"});
  expect_error({"--heads", "12"}, 1, ExitCode::config,
               {"--heads: model.hidden_size = 128 is not a multiple"});
}

TEST(CommandLine, AllProblemsOfFlagsFileAndRulesComeTogether) {
  TemporaryFile const file("[optimizer]\nlr = -1\nmomentum = 0.9\n[batch]\nseq_length = 512\n");
  expect_error({"--config", file.path(), "--stepz", "5", "--seed", "x", "--tp", "3"}, 8, ExitCode::usage,
               {"unknown flag --stepz: did you mean --steps?", "--seed takes an integer",
                file.path() + ":3: unknown key optimizer.momentum", file.path() + ":2: optimizer.lr = -1",
                "--tp: parallel.tp = 3 x parallel.pp = 1 need a multiple of 3",
                "--tp: parallel.tp = 3 does not divide model.heads = 8",
                file.path() + ":5: batch.seq_length = 512 is longer than"});
}

TEST(CommandLine, WhatAnInspectionFindsStandsInTheSameMessage) {
  auto const inspect = [](Settings& settings) {
    settings.attempt([] { throw tessera::DataError("no data", ExitCode::no_input); });
    settings.attempt([] { throw tessera::ConfigError({"output.log", "b"}, ExitCode::cannot_create); });
  };
  auto const thrown = [&](std::vector<std::string> const& arguments) {
    try {
      (void)parse_command_line(arguments, 1, inspect);
    } catch (tessera::ConfigError const& error) {
      return error;
    }
    return tessera::ConfigError({});
  };
  EXPECT_EQ(thrown({"--log", "x"}).problems(),
            (std::vector<std::string>{"no data", "--log: output.log", "b"}));
  EXPECT_EQ(thrown({}).code(), ExitCode::no_input);
  EXPECT_EQ(thrown({"--lr", "-1"}).code(), ExitCode::config);
  EXPECT_EQ(thrown({"--lr", "-1"}).problems().size(), 4u);
  EXPECT_EQ(thrown({"--dry-run"}).problems().size(), 0u) << "a plan may be made where the data are not";
}

TEST(CommandLine, WithoutItsFileOnlyFlagsAreCertain) {
  bool path = true, format = false;
  auto const inspect = [&](Settings& settings) {
    path = settings.doubtful("data", "path");
    format = settings.doubtful("data", "format");
  };
  EXPECT_THROW((void)parse_command_line({"--config", "/absent.toml", "--data", "x"}, 1, inspect),
               tessera::ConfigError);
  EXPECT_FALSE(path);
  EXPECT_TRUE(format);
}

TEST(CommandLine, RulesAboutAValueThatWasLostAreNotTried) {
  // Without the typo hidden_size would be 96; complaining about 128 and 6 heads would only mislead.
  expect_error({"--hiden-size", "96", "--heads", "6"}, 1, ExitCode::usage, {"did you mean --hidden-size?"});
}

TEST(CommandLine, FlagsGoBeforeTheFileWhichGoesBeforeDefaults) {
  TemporaryFile const file("[training]\nsteps = 11\nseed = 12\n");
  RunConfig const config = parse_command_line({"--seed", "13", "--config", file.path()}, 1).config;
  EXPECT_EQ(config.training.steps, 11);
  EXPECT_EQ(config.training.seed, 13);
  EXPECT_EQ(config.training.log_interval, RunConfig{}.training.log_interval);
}

TEST(CommandLine, HelpNamesEveryFlagAndVersionItself) {
  CommandLine const help = parse_command_line({"--tp", "7", "--help"}, 1);
  EXPECT_EQ(help.action, Action::print);
  for (Option const& option : options()) {
    for (std::string const& flag : option.flag_names())
      EXPECT_NE(help.text.find(flag), std::string::npos) << flag;
  }
  EXPECT_EQ(parse_command_line({"--version"}, 1).action, Action::version);
}

TEST(CommandLine, PlansNameTheRanksThemselves) {
  CommandLine const derived = parse_command_line({"--dry-run", "--tp", "4", "--pp", "2"}, 1);
  EXPECT_EQ(derived.action, Action::dry_run);
  EXPECT_EQ(derived.ranks, 8);
  EXPECT_EQ(
      parse_command_line({"--dry-run", "--tp", "4", "--ranks", "32", "--global-batch-size", "64"}, 1).ranks,
      32);
  expect_error({"--dry-run", "--tp", "4", "--ranks", "6"}, 1, ExitCode::config, {"but the job has 6"});
  expect_error({"--ranks", "6"}, 1, ExitCode::usage, {"--ranks goes with --dry-run"});
  expect_error({"--dry-run", "--ranks", "0"}, 1, ExitCode::usage, {"--ranks"});
}

TEST(CommandLine, DumpedConfigurationReadsBackTheSame) {
  std::vector<std::string> const flags = {"--lr",
                                          "0.0003333333333333333",
                                          "--prompt",
                                          "say \"hi\"\\\n\tto\x01 \xC3\xA9",
                                          "--sequence-parallel",
                                          "--pp",
                                          "2",
                                          "--pipeline-layers",
                                          "3,1",
                                          "--min-lr",
                                          "0",
                                          "--dump-config"};
  CommandLine const first = parse_command_line(flags, 1);
  EXPECT_EQ(first.action, Action::print);
  TemporaryFile const file(first.text);

  CommandLine const second = parse_command_line({"--config", file.path(), "--dry-run"}, 1);

  EXPECT_EQ(second.config, first.config);
}

TEST(CommandLine, DumpedConfigurationFillsInWhatFollows) {
  auto const text = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--ranks", "8", "--tp", "2", "--pp", "2", "--dump-config"});
    return parse_command_line(arguments, 1).text;
  };
  auto const expect_line = [](std::string const& dump, std::string const& value, std::string const& origin) {
    auto const at = dump.find("\n" + value + " ");
    ASSERT_NE(at, std::string::npos) << value << "\n" << dump;
    EXPECT_NE(dump.substr(at + 1, dump.find('\n', at + 1) - at).find("# " + origin), std::string::npos)
        << dump;
  };
  auto const fast = text({});
  expect_line(fast, "dp = 2", "derived: ranks / (tp x pp)");
  expect_line(fast, "ffn_hidden_size = 512", "derived: 4 x hidden_size");
  expect_line(fast, "decay_steps = 200", "derived: training.steps");
  expect_line(fast, "batch_tiles = 2", "derived: dp");
  expect_line(fast, "pipeline_layers = [2, 2]", "derived: even");
  expect_line(fast, "tiles = \"auto\"", "default");
  auto const fixed = text({"--tiles", "4", "--ffn-hidden-size", "256"});
  expect_line(fixed, "batch_tiles = 4", "derived: largest power of two");
  expect_line(fixed, "ffn_hidden_size = 256", "--ffn-hidden-size");

  auto const brief = text({"--steps", "5"});
  expect_line(brief, "decay_steps = 0", "default");

  for (auto const& dump : {fast, fixed, brief}) {
    TemporaryFile const file(dump);
    auto const again = parse_command_line({"--config", file.path(), "--ranks", "8", "--dump-config"}, 1);
    EXPECT_EQ(again.text.find("derived"), std::string::npos) << again.text;
    EXPECT_EQ(again.text.substr(0, again.text.find('\n')), dump.substr(0, dump.find('\n')));
  }
}

TEST(CommandLine, DumpedConfigurationTellsWhereValuesComeFrom) {
  TemporaryFile const file("[training]\n\nsteps = 11\n");
  std::string const text =
      parse_command_line({"--config", file.path(), "--tp", "2", "--dump-config"}, 1).text;
  auto const line_of = [&](std::string const& key) {
    std::size_t const begin = text.find("\n" + key + " = ") + 1;
    return text.substr(begin, text.find('\n', begin) - begin);
  };
  EXPECT_TRUE(line_of("steps").ends_with("# " + file.path() + ":3")) << line_of("steps");
  EXPECT_TRUE(line_of("tp").ends_with("# --tp")) << line_of("tp");
  EXPECT_TRUE(line_of("pp").ends_with("# default")) << line_of("pp");
  EXPECT_NE(text.find("# On 2 ranks: tp 2 x pp 1 x dp 1"), std::string::npos) << text;
}

TEST(Options, NamesAndFlagsAreUnique) {
  std::set<std::string> names;
  for (Option const& option : options()) {
    EXPECT_TRUE(names.insert(option.name()).second) << option.name();
    for (std::string const& flag : option.flag_names()) {
      EXPECT_TRUE(flag.starts_with("--")) << flag;
      EXPECT_TRUE(names.insert(flag).second) << flag;
    }
  }
}

TEST(Options, NearestNameStaysSilentWhenNothingIsNear) {
  std::vector<std::string> const names = {"tiles", "schedule", "tp"};
  EXPECT_EQ(nearest_name("schedul", names), "schedule");
  EXPECT_EQ(nearest_name("tile", names), "tiles");
  EXPECT_EQ(nearest_name("xyzzy", names), "");
  std::vector<std::string> const flags{"--seed",       "--adam-eps",          "--sequence-parallel",
                                       "--seq-length", "--global-batch-size", "--micro-batch-size",
                                       "--eps"};
  EXPECT_EQ(nearest_name("--seq", flags), "--seq-length");
  EXPECT_EQ(nearest_name("--micro-batch", flags), "--micro-batch-size");
  EXPECT_EQ(nearest_name("--batch", flags), "--micro-batch-size");
  EXPECT_EQ(nearest_name("--gpus", flags), "");
  EXPECT_EQ(nearest_name("", names), "");
}

TEST(OtherNames, BelongToOptionsThatExistAndAreNoneOfOurs) {
  std::vector<std::string> ours;
  for (Option const& option : options()) {
    for (std::string const& flag : option.flag_names()) ours.push_back(flag);
  }
  int without = 0;
  for (std::string const& name : other_names()) {
    EXPECT_EQ(std::ranges::count(ours, name), 0) << name;
    if (option_called(name) == nullptr) ++without;
  }
  EXPECT_EQ(without, 2) << "of context and expert parallelism";
}

}  // namespace
}  // namespace gpt_train
