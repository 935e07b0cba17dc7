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

std::string_view build_options() {
  static std::string const text =
      fmt::format("{}kokkos: {}.{}.{}\nexecution space: {}", detail::configured_with, KOKKOS_VERSION / 10000,
                  KOKKOS_VERSION / 100 % 100, KOKKOS_VERSION % 100, ExecutionSpace::name());
  return text;
}

}  // namespace tessera
