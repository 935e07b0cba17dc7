// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "layouts.hpp"

namespace tessera::train::test {
namespace {

TEST(LayoutMatrix, EveryAxisAndChoiceGivesTheBitsOfOneRank) {
  TokenFile const tokens(61, 20'000);
  auto config = small_run(tokens);
  config.model.vocab_size = 61;
  config.model.hidden_dropout = config.model.attention_dropout = 0.1;
  expect_same_bits<float>(config, quick_layouts(8));
}

}  // namespace
}  // namespace tessera::train::test
