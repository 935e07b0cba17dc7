// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
//
// The run configurations of inputs/ load, fit the layouts they are meant for, and have the sizes they say.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "command_line.hpp"
#include "support.hpp"
#include "tessera/train/validation.hpp"

namespace gpt_train {
namespace {

using tessera::train::RunConfig;

RunConfig load(std::string const& name, int ranks, std::vector<std::string> arguments = {}) {
  arguments.insert(arguments.end(), {"--config", inputs_folder() + "/" + name + ".toml"});
  return parse_command_line(arguments, ranks).config;
}

std::string with_commas(std::int64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<std::size_t>(at), 1, ',');
  }
  return text;
}

TEST(InputDecks, TinyIsTheDefault) { EXPECT_EQ(load("tiny", 1), RunConfig{}); }

TEST(InputDecks, TinyRunsOnEveryLayoutOfEightRanksInTiles) {
  for (int const tp : {1, 2, 4, 8}) {
    for (int const pp : {1, 2, 4}) {
      for (int dp = 1; tp * pp * dp <= 8; dp *= 2) {
        EXPECT_NO_THROW((void)load("tiny", tp * pp * dp,
                                   {"--tiles", "8", "--sequence-parallel", "--tp", std::to_string(tp), "--pp",
                                    std::to_string(pp), "--dp", std::to_string(dp)}))
            << tp << " x " << pp << " x " << dp;
      }
    }
  }
}

TEST(InputDecks, EveryDeckFitsItsLayoutAndSaysItsSize) {
  int decks = 0;
  for (auto const& file : std::filesystem::directory_iterator(inputs_folder())) {
    if (file.path().extension() != ".toml") continue;
    ++decks;
    CommandLine line;
    ASSERT_NO_THROW(line = parse_command_line({"--config", file.path(), "--dry-run"}, 1)) << file.path();
    EXPECT_EQ(line.config.model.name, file.path().stem());
    std::ifstream stream(file.path());
    std::string const text{std::istreambuf_iterator<char>(stream), {}};
    std::string const count = with_commas(tessera::model::parameter_count(line.config.model)) + " parameters";
    EXPECT_NE(text.find(count), std::string::npos) << file.path() << " does not say: " << count;
  }
  EXPECT_GE(decks, 8);
}

TEST(InputDecks, ScalingModelsHaveTheirTensorParallelDegree) {
  EXPECT_EQ(load("megatron-1.2b", 1).parallel.tp, 1);
  EXPECT_EQ(load("megatron-2.5b", 2).parallel.tp, 2);
  EXPECT_EQ(load("megatron-4.2b", 4).parallel.tp, 4);
  EXPECT_EQ(load("megatron-8.3b", 64).parallel.tp, 8);
}

TEST(InputDecks, SixteenHeadsMakeEightTilesPossibleAtTheSameSize) {
  RunConfig const config = load("gpt2-124m-16h", 8, {"--tiles", "8", "--tp", "8"});
  EXPECT_EQ(tessera::train::resolve(config, 8).head_tiles, 8);
  EXPECT_EQ(tessera::model::parameter_count(config.model), 124'439'808);
  expect_error({"--config", inputs_folder() + "/gpt2-124m.toml", "--tiles", "8", "--tp", "8"}, 8,
               tessera::ExitCode::config, {"the largest legal tp is 4"});
}

}  // namespace
}  // namespace gpt_train
