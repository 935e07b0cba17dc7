// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "levels.hpp"

#include <sys/platform/x86.h>

#include <algorithm>
#include <array>

namespace launcher {

namespace {

/// Names as a list for a message: "a, b".
void append(std::string& list, std::string_view name) {
  if (!list.empty()) list += ", ";
  list += name;
}

std::string joined(std::span<std::string_view const> names) {
  std::string list;
  for (auto const name : names) append(list, name);
  return list;
}

/// What a processor lacks for a level; empty if it has all.
std::string lacking(std::string_view name, HasFeature const& has_feature) {
  std::string list;
  for (Level const& level : known_levels()) {
    for (Feature const& feature : level.features) {
      if (!has_feature(feature)) append(list, feature.name);
    }
    if (level.name == name) break;
  }
  return list;
}

Level const* find_level(std::string_view name) {
  auto const found = std::ranges::find(known_levels(), name, &Level::name);
  return found == known_levels().end() ? nullptr : &*found;
}

Choice forced(std::span<std::string_view const> built, std::string_view wanted,
              HasFeature const& has_feature) {
  auto const same = [&](std::string_view name) {
    return name == wanted || name == "x86-64-" + std::string(wanted);
  };
  auto const found = std::ranges::find_if(built, same);
  if (found == built.end()) {
    return {nullptr, "TESSERA_ISA=" + std::string(wanted) +
                         " is not among the levels of this installation: " + joined(built)};
  }
  auto const lacks = lacking(*found, has_feature);
  if (lacks.empty()) return {find_level(*found), {}};
  return {nullptr,
          "TESSERA_ISA=" + std::string(wanted) + " asks for more than this processor has: it lacks " + lacks};
}

}  // namespace

bool machine_has(Feature const& feature) { return x86_cpu_active(feature.index) != 0; }

std::span<Level const> known_levels() {
  static std::array<Level, 2> const levels = {{
      {"x86-64-v3",
       {{"CMPXCHG16B", x86_cpu_CMPXCHG16B},
        {"LAHF", x86_cpu_LAHF64_SAHF64},
        {"POPCNT", x86_cpu_POPCNT},
        {"SSE3", x86_cpu_SSE3},
        {"SSSE3", x86_cpu_SSSE3},
        {"SSE4.1", x86_cpu_SSE4_1},
        {"SSE4.2", x86_cpu_SSE4_2},
        {"AVX", x86_cpu_AVX},
        {"AVX2", x86_cpu_AVX2},
        {"BMI1", x86_cpu_BMI1},
        {"BMI2", x86_cpu_BMI2},
        {"F16C", x86_cpu_F16C},
        {"FMA", x86_cpu_FMA},
        {"LZCNT", x86_cpu_LZCNT},
        {"MOVBE", x86_cpu_MOVBE}},
       {{"DNNL_MAX_CPU_ISA", "AVX2"}, {"OPENBLAS_CORETYPE", "Haswell"}}},
      {"x86-64-v4",
       {{"AVX512F", x86_cpu_AVX512F},
        {"AVX512BW", x86_cpu_AVX512BW},
        {"AVX512CD", x86_cpu_AVX512CD},
        {"AVX512DQ", x86_cpu_AVX512DQ},
        {"AVX512VL", x86_cpu_AVX512VL}},
       {{"DNNL_MAX_CPU_ISA", "AVX512_CORE"}, {"OPENBLAS_CORETYPE", "SkylakeX"}}},
  }};
  return levels;
}

Choice choose(std::span<std::string_view const> built, std::string_view wanted,
              HasFeature const& has_feature) {
  if (!wanted.empty()) return forced(built, wanted, has_feature);
  for (std::size_t i = built.size(); i-- > 0;) {
    if (lacking(built[i], has_feature).empty()) return {find_level(built[i]), {}};
  }
  return {nullptr, "this processor is older than the levels of this installation (" + joined(built) +
                       "): for the lowest it lacks " + lacking(built.front(), has_feature) +
                       ". Build Tessera from its sources on this machine"};
}

}  // namespace launcher
