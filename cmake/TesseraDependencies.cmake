# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# The libraries the project stands on (DESIGN: "Outside what the project exists for, a library").
# Each is wrapped in one target here, so that no room deals with the oddities of a distribution.

find_package(Kokkos REQUIRED)
find_package(MPI REQUIRED COMPONENTS CXX)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(Threads REQUIRED)

# Kokkos: modern packages export Kokkos::kokkos. Debian's Trilinos copy exports kokkoscore and names an include
# path that does not exist; its headers lie beside the other Trilinos headers.
if(NOT TARGET Kokkos::kokkos)
  find_path(TESSERA_KOKKOS_INCLUDE_DIR Kokkos_Core.hpp PATH_SUFFIXES trilinos REQUIRED)
  find_library(TESSERA_KOKKOS_CORE_LIBRARY NAMES kokkoscore trilinos_kokkoscore REQUIRED)
  mark_as_advanced(TESSERA_KOKKOS_INCLUDE_DIR TESSERA_KOKKOS_CORE_LIBRARY)
  add_library(Kokkos::kokkos UNKNOWN IMPORTED)
  set_target_properties(Kokkos::kokkos PROPERTIES
    IMPORTED_LOCATION ${TESSERA_KOKKOS_CORE_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${TESSERA_KOKKOS_INCLUDE_DIR})
endif()

# Matrix-product providers: each is built where its library is found; the plain Kokkos one always is.
find_package(dnnl QUIET)
find_package(BLAS QUIET)
find_path(TESSERA_CBLAS_INCLUDE_DIR cblas.h PATH_SUFFIXES x86_64-linux-gnu openblas)
mark_as_advanced(TESSERA_CBLAS_INCLUDE_DIR)
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(HWLOC QUIET IMPORTED_TARGET hwloc)
endif()
