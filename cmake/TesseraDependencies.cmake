# SPDX-FileCopyrightText: The Tessera developers
# SPDX-License-Identifier: Apache-2.0
#
# The libraries the project stands on (DESIGN: "Outside what the project exists for, a library").
# Each is wrapped in one target here, so that no room deals with the oddities of a distribution.

find_package(Kokkos REQUIRED)
include(TesseraKokkos)
find_package(MPI REQUIRED COMPONENTS CXX)
find_package(fmt REQUIRED)
find_package(Threads REQUIRED)

# Checkpoints.
include(TesseraHdf5)
find_package(nlohmann_json REQUIRED)

# Matrix-product providers: each is built where its library is found; the plain Kokkos one always is.
include(TesseraOneDnn)
find_package(BLAS QUIET)
find_path(TESSERA_CBLAS_INCLUDE_DIR cblas.h PATH_SUFFIXES x86_64-linux-gnu openblas)
mark_as_advanced(TESSERA_CBLAS_INCLUDE_DIR)

# xxHash, compiled into the one file that uses it; nothing to link or to export.
find_path(TESSERA_XXHASH_INCLUDE_DIR xxhash.h REQUIRED)
mark_as_advanced(TESSERA_XXHASH_INCLUDE_DIR)
