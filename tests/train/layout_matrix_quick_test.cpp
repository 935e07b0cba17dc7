// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "layouts.hpp"

namespace tessera::train::test {
namespace {

/// Of a vocabulary that the tiles do not divide, as `tokens` have it.
RunConfig run_with_dropout(TokenFile const& tokens) {
  auto config = small_run(tokens);
  config.model.vocab_size = 61;
  config.model.hidden_dropout = config.model.attention_dropout = 0.1;
  return config;
}

TEST(LayoutMatrix, EveryAxisAndChoiceGivesTheBitsOfOneRank) {
  TokenFile const tokens(61, 20'000);
  auto config = run_with_dropout(tokens);
  expect_same_bits<float>(config, quick_layouts(8));
}

TEST(LayoutMatrixInBf16, AFewLayoutsGiveTheBitsOfOneRank) {
  TokenFile const tokens(61, 20'000);
  auto config = run_with_dropout(tokens);
  config.training.precision = "bf16";
  expect_same_bits<bf16>(config, {{{2, 1, 1}},
                                  {{4, 1, 1}, true, "1f1b", 2},
                                  {{2, 2, 1}, true, "gpipe"},
                                  {{1, 2, 2}, false, "1f1b", 0, 1},
                                  {{2, 2, 2}, true, "1f1b", 4, 1}});
}

TEST(LayoutMatrixInFp16, AFewLayoutsGiveTheBitsOfOneRank) {
  TokenFile const tokens(61, 20'000);
  auto config = run_with_dropout(tokens);
  config.training.precision = "fp16";
  config.optimizer.initial_loss_scale = 1024;  // so that no step is left out
  expect_same_bits<f16>(config, {{{2, 2, 1}, true, "gpipe"}, {{2, 2, 2}, true, "1f1b", 4, 1}});
}

}  // namespace
}  // namespace tessera::train::test
