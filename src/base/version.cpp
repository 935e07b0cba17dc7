// SPDX-FileCopyrightText: The Tessera developers
// SPDX-License-Identifier: Apache-2.0
#include "tessera/base/version.hpp"

#include <fmt/format.h>

#include <string>

#include "base/build_options.hpp"
#include "tessera/base/kokkos.hpp"
#include "tessera/version.hpp"

namespace tessera {

std::string_view version() noexcept { return TESSERA_VERSION_STRING; }

std::string_view instruction_level() noexcept {
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512CD__) && defined(__AVX512DQ__) && \
    defined(__AVX512VL__)
  return "x86-64-v4";
#elif defined(__AVX2__) && defined(__FMA__) && defined(__BMI2__) && defined(__LZCNT__) && defined(__MOVBE__)
  return "x86-64-v3";
#elif defined(__SSE4_2__) && defined(__SSSE3__) && defined(__POPCNT__)
  return "x86-64-v2";
#else
  return detail::processor_family;
#endif
}

std::string_view build_options() {
  static std::string const text =
      fmt::format("{}instructions: {}\nkokkos: {}.{}.{}\nexecution space: {}", detail::configured_with,
                  instruction_level(), KOKKOS_VERSION / 10000, KOKKOS_VERSION / 100 % 100,
                  KOKKOS_VERSION % 100, ExecutionSpace::name());
  return text;
}

}  // namespace tessera
