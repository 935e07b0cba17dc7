// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "config_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "command_line.hpp"
#include "support.hpp"

namespace gpt_train {
namespace {

using tessera::ExitCode;

/// Reading `content` gives these problems, each beginning with the file's name (and then, say, ":2: ").
void expect_file_error(std::string const& content, std::vector<std::string> parts) {
  TemporaryFile const file(content);
  for (std::string& part : parts) part = file.path() + part;
  expect_error({"--config", file.path()}, 1, ExitCode::config, parts);
}

TEST(ConfigFile, ValuesOfEveryTypeAreRead) {
  TemporaryFile const file(
      "[parallel]\npp = 2\nsequence_parallel = true\npipeline_layers = [1, 3]\nschedule = 'gpipe'\n"
      "[optimizer]\nlr = 1\nmin_lr = 1e-6\n");
  RunConfig const config = parse_command_line({"--config", file.path()}, 2).config;
  EXPECT_EQ(config.parallel.pp, 2);
  EXPECT_TRUE(config.parallel.sequence_parallel);
  EXPECT_EQ(config.parallel.pipeline_layers, (std::vector<std::int64_t>{1, 3}));
  EXPECT_EQ(config.parallel.schedule, "gpipe");
  EXPECT_EQ(config.optimizer.lr, 1.0) << "an integer is a number";
  EXPECT_EQ(config.optimizer.min_lr, 1e-6);
}

TEST(ConfigFile, UnknownKeysNameTheNearestWithFileAndLine) {
  expect_file_error("[model]\nhiden_size = 96\n",
                    {":2: unknown key model.hiden_size: did you mean model.hidden_size?"});
  expect_file_error("[model]\nnum_layers = 96\n",
                    {":2: unknown key model.num_layers: did you mean model.layers?"});
  expect_file_error("[training]\nlr = 1e-3\n", {":2: unknown key training.lr: did you mean optimizer.lr?"});
  expect_file_error("\nlr = 1e-3\n", {":2: unknown key lr: did you mean optimizer.lr?"});
  expect_file_error("learning_rate = 1e-3\n", {":1: unknown key learning_rate: did you mean optimizer.lr?"});
  expect_file_error("tensor_model_parallel_size = 2\n",
                    {":1: unknown key tensor_model_parallel_size: did you mean parallel.tp?"});
  expect_file_error("model = \"gpt2\"\n", {":1: model is a table, not a value: write [model]"});
  expect_file_error("[train]\nmax_iters = 2\n", {":1: unknown table [train]: did you mean [training]?"});
  expect_file_error("[model]\nn_layer = 2\n", {":2: unknown key model.n_layer: did you mean model.layers?"});
  expect_file_error("[model]\nrotary_base_frequency = 1\n", {":2: unknown key model.rotary_base_frequency"});
}

TEST(ConfigFile, UnknownTablesNameTheNearest) {
  expect_file_error("[optimiser]\nlr = -1\n", {":1: unknown table [optimiser]: did you mean [optimizer]?"});
  expect_file_error("[zoo]\nlr = -1\n", {":1: unknown table [zoo]"});
}

TEST(ConfigFile, WrongTypesAreNamedWithFileAndLine) {
  expect_file_error("[parallel]\ntp = \"2\"\n", {":2: parallel.tp must be an integer, not the string \"2\""});
  expect_file_error("[parallel]\ntp = 2.0\n", {":2: parallel.tp must be an integer, not 2"});
  expect_file_error("[parallel]\ntp = [2]\n", {":2: parallel.tp must be an integer, not the list [2]"});
  expect_file_error("[parallel]\ntp = 1979-05-27\n", {":2: parallel.tp must be an integer, not of type"});
  expect_file_error("[parallel.tp]\nx = 1\n", {":1: parallel.tp must be an integer, not of type table"});
  expect_file_error("[parallel]\nsequence_parallel = 1\n",
                    {":2: parallel.sequence_parallel must be true or false"});
  expect_file_error("[parallel]\npipeline_layers = [1, 'a']\n",
                    {":2: parallel.pipeline_layers must be a list of"});
  expect_file_error("[data]\npath = 3\n", {":2: data.path must be a string, not 3"});
  expect_file_error("[optimizer]\nlr = '1e-3'\n",
                    {":2: optimizer.lr must be a number, not the string \"1e-3\""});
}

TEST(ConfigFile, ValuesOutOfRangeAreNamedWithFileAndLine) {
  expect_file_error("[optimizer]\nlr = nan\n", {":2: optimizer.lr must be a number that is finite, not nan"});
  expect_file_error("[optimizer]\nlr = -inf\n",
                    {":2: optimizer.lr must be a number that is finite, not -inf"});
  expect_file_error("[optimizer]\n\nlr = -0.5\n",
                    {":3: optimizer.lr = -0.5 must be a number greater than 0"});
  expect_file_error("[parallel]\ntp = 9999999999\n",
                    {":2: parallel.tp must be an integer that fits 32 bits"});
  expect_file_error("[batch]\nseq_length = 99999999999999999999\n", {":2: not valid TOML"});
}

TEST(ConfigFile, RulesOverSeveralValuesNameAllTheirOrigins) {
  TemporaryFile const file("[batch]\nmicro_batch_size = 3\nglobal_batch_size = 8\n");
  expect_error({"--config", file.path(), "--dp", "2"}, 2, ExitCode::config,
               {"--dp, " + file.path() + ":2, " + file.path() + ":3: batch.global_batch_size = 8"});
}

TEST(ConfigFile, DamagedTomlIsOneProblemWithItsLine) {
  expect_file_error("[model]\nlayers = \n", {":2: not valid TOML"});
  expect_file_error("[model]\nlayers = 1\nlayers = 2\n", {":3: not valid TOML"});
  expect_file_error(std::string("[model]\nname = \"\xff\xfe\"\n"), {":2: not valid TOML"});
  expect_file_error(std::string(1000, '['), {":1: not valid TOML"});
  expect_file_error("a = " + std::string(100'000, '['), {":1: not valid TOML"});
}

TEST(ConfigFile, FilesTooLargeToBeAConfigurationAreRefused) {
  expect_file_error(std::string(10 << 20, '#'), {": larger than 1 MiB"});
}

TEST(ConfigFile, MissingAndUnreadableFilesHaveTheirOwnExitCodes) {
  expect_error({"--config", "/nowhere/x.toml", "--tp", "3"}, 1, ExitCode::no_input,
               {"/nowhere/x.toml: cannot read the configuration: No such file"});
}

TEST(ConfigFile, WhatIsNoFileIsRefusedWithoutWaitingForIt) {
  auto const pipe = ::testing::TempDir() + "tessera_pipe_" + std::to_string(getpid());
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  for (auto const& path : {::testing::TempDir(), pipe, std::string("/dev/null")})
    expect_error({"--config", path}, 1, ExitCode::data, {path + ": a configuration is a regular file"});
  unlink(pipe.c_str());
}

/// Root may read everything, so while this exists root is nobody; anyone else stays who they are.
class Unprivileged {
 public:
  Unprivileged() : user_(geteuid()) {
    constexpr uid_t nobody = 65534;
    if (user_ == 0 && seteuid(nobody) != 0) throw std::runtime_error("root cannot become nobody");
  }
  Unprivileged(Unprivileged const&) = delete;
  Unprivileged& operator=(Unprivileged const&) = delete;
  ~Unprivileged() { EXPECT_EQ(seteuid(user_), 0); }

 private:
  uid_t user_;
};

TEST(ConfigFile, UnreadableFilesAreAMatterOfPermission) {
  TemporaryFile const file("");
  std::filesystem::permissions(file.path(), std::filesystem::perms::none);
  Unprivileged const nobody;
  expect_error({"--config", file.path()}, 1, ExitCode::permission, {"Permission denied"});
}

}  // namespace
}  // namespace gpt_train
