// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "levels.hpp"

namespace {

using launcher::Choice;
using launcher::Feature;

constexpr std::array<std::string_view, 2> both = {"x86-64-v3", "x86-64-v4"};
constexpr std::array<std::string_view, 1> only_v4 = {"x86-64-v4"};

/// A processor that has everything but the features named.
launcher::HasFeature all_but(std::vector<std::string> lacking) {
  return [lacking](Feature const& feature) { return std::ranges::count(lacking, feature.name) == 0; };
}

std::string level_of(Choice const& choice) {
  return choice.level != nullptr ? std::string(choice.level->name) : "none";
}

bool mentions(Choice const& choice, std::string const& text) {
  return choice.level == nullptr && choice.problem.find(text) != std::string::npos;
}

TEST(LauncherChoice, TakesTheHighestLevelThatTheProcessorHas) {
  EXPECT_EQ(level_of(choose(both, "", all_but({}))), "x86-64-v4");
  EXPECT_EQ(level_of(choose(both, "", all_but({"AVX512F"}))), "x86-64-v3");
}

TEST(LauncherChoice, EveryFeatureOfALevelCounts) {
  for (launcher::Level const& level : launcher::known_levels()) {
    for (Feature const& feature : level.features) {
      auto const choice = choose(both, "", all_but({feature.name}));
      EXPECT_EQ(level.name == "x86-64-v4" ? "x86-64-v3" : "none", level_of(choice)) << feature.name;
    }
  }
  // A processor with AVX-512 but without what comes before it is of no level.
  EXPECT_TRUE(mentions(choose(only_v4, "", all_but({"FMA"})), "lacks FMA"));
}

TEST(LauncherChoice, RefusesAnOlderProcessorNamingWhatItLacks) {
  auto const choice = choose(both, "", all_but({"AVX2", "FMA", "AVX512F"}));
  EXPECT_TRUE(mentions(choice, "lacks AVX2, FMA.")) << choice.problem;
  EXPECT_TRUE(mentions(choice, "(x86-64-v3, x86-64-v4)")) << choice.problem;
}

TEST(LauncherChoice, ALowerLevelCanBeAskedForByEitherName) {
  for (auto const* const wanted : {"v3", "x86-64-v3"})
    EXPECT_EQ(level_of(choose(both, wanted, all_but({}))), "x86-64-v3");
}

TEST(LauncherChoice, AsksForNoMoreThanThereIs) {
  EXPECT_TRUE(mentions(choose(both, "v4", all_but({"AVX512VL"})), "TESSERA_ISA=v4 asks for more"));
  EXPECT_TRUE(mentions(choose(only_v4, "v3", all_but({})), "not among the levels"));
  EXPECT_TRUE(mentions(choose(both, "avx2", all_but({})), "x86-64-v3, x86-64-v4"));
}

TEST(LauncherChoice, EachLevelHoldsTheProductLibrariesToIt) {
  for (launcher::Level const& level : launcher::known_levels()) {
    for (std::string const name : {"DNNL_MAX_CPU_ISA", "OPENBLAS_CORETYPE"})
      EXPECT_EQ(std::ranges::count(level.settings, name, &launcher::Setting::name), 1) << level.name << name;
  }
}

}  // namespace
